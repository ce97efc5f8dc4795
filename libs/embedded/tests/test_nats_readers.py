"""What outsiders may do on NATS: read facts and hear live frames, in an account of their own."""

import json
from collections.abc import Sequence

import pytest
from nats.aio.client import Client
from nats.errors import Error

from shoal_embedded.nats_users import CONSUMER, NatsUser

from .conftest import Connections, stored, until


async def copy_holds(client: Client, count: int) -> None:
    async def complete() -> bool:
        return await stored(client, "EVENTS") >= count

    await until(complete)


async def test_consumer_reads_stored_facts_in_order_and_then_new_ones(admin: Client, connections: Connections) -> None:
    consumer = await connections.open("consumer")
    ordered = await consumer.jetstream().subscribe("shoal.events.>", stream="EVENTS", ordered_consumer=True)
    assert [json.loads((await ordered.next_msg(timeout=4)).data)["n"] for _ in range(10)] == list(range(10))
    await admin.jetstream().publish("shoal.events.user.created.v1.user_2", b'{"n": 10}', headers={"ce-id": "e"})
    fact = await ordered.next_msg(timeout=4)
    assert (fact.subject, fact.headers) == ("shoal.events.user.created.v1.user_2", {"ce-id": "e"})
    assert connections.refused == []


async def test_consumer_keeps_its_place_with_a_durable_of_its_own(admin: Client, connections: Connections) -> None:
    consumer = await connections.open("consumer")
    await copy_holds(consumer, 10)
    for expected in ([0, 1, 2, 3, 4, 5], [6, 7, 8, 9]):
        pull = await consumer.jetstream().pull_subscribe("shoal.events.>", durable="mine", stream="EVENTS")
        messages = await pull.fetch(6, timeout=0.5)
        assert [json.loads(message.data)["n"] for message in messages] == expected
        for message in messages:
            await message.ack_sync()
        await pull.unsubscribe()
    assert await consumer.jetstream().delete_consumer("EVENTS", "mine")


async def test_consumer_hears_facts_and_live_frames(admin: Client, connections: Connections) -> None:
    consumer = await connections.open("consumer")
    facts, frames = await consumer.subscribe("shoal.events.>"), await consumer.subscribe("shoal.live.>")
    await consumer.flush()
    await admin.publish("shoal.events.user.created.v1.user_9", b"{}")
    await admin.publish("shoal.live.acc_1.agent_1.metrics", b"{}")
    assert (await facts.next_msg(timeout=2)).subject == "shoal.events.user.created.v1.user_9"
    assert (await frames.next_msg(timeout=2)).subject == "shoal.live.acc_1.agent_1.metrics"


@pytest.mark.parametrize(
    "subject",
    [
        "shoal.events.user.created.v1.user_1",
        "shoal.live.acc_1.agent_1.metrics",
        "shoal.telemetry.batch.p1",
        "shoal.dead.pairing.x",
        "copy.api.CONSUMER.CREATE.EVENTS",
        "$JS.API.STREAM.PURGE.EVENTS",
        "$JS.API.STREAM.DELETE.EVENTS",
        "$JS.API.STREAM.UPDATE.EVENTS",
        "$JS.API.STREAM.CREATE.MINE",
        "$JS.API.STREAM.MSG.DELETE.EVENTS",
        "$JS.API.STREAM.INFO.TELEMETRY",
        "$JS.API.STREAM.MSG.GET.TELEMETRY",
        "$JS.API.DIRECT.GET.TELEMETRY",
        "$JS.API.CONSUMER.CREATE.TELEMETRY",
        "$JS.API.CONSUMER.CREATE.TELEMETRY.mine.shoal.telemetry.>",
    ],
)
async def test_consumer_may_not_publish(subject: str, admin: Client, connections: Connections) -> None:
    consumer = await connections.open("consumer")
    (refusal,) = await connections.refusals(consumer.publish(subject, b"{}"), consumer)
    assert f'publish to "{subject.lower()}"' in refusal
    assert await stored(admin, "EVENTS") == 10
    assert await stored(admin, "TELEMETRY") == 1


async def test_consumer_may_not_listen_to_samples_or_to_everything(admin: Client, connections: Connections) -> None:
    consumer = await connections.open("consumer")
    for subject in ("shoal.telemetry.>", "shoal.dead.>", "$JS.EVENT.ADVISORY.>", "copy.deliver.>", ">"):
        (refusal,) = await connections.refusals(consumer.subscribe(subject), consumer)
        assert f'subscription to "{subject.lower()}"' in refusal


async def test_consumer_does_not_hear_what_services_are_answered(admin: Client, connections: Connections) -> None:
    consumer = await connections.open("consumer")
    answers = await consumer.subscribe("_INBOX.>")
    await consumer.flush()
    service = await connections.open("metrics-query")
    pull = await service.jetstream().pull_subscribe("shoal.telemetry.batch.>", durable="m", stream="TELEMETRY")
    assert await pull.fetch(1, timeout=2)
    await consumer.flush()
    assert answers.pending_msgs == 0


async def test_consumer_cannot_make_the_server_publish_for_it(admin: Client, connections: Connections) -> None:
    """Whoever sends a request names the subject of its reply, and nobody asks whether they may publish there."""
    consumer = await connections.open("consumer")
    await copy_holds(consumer, 10)
    await consumer.jetstream().pull_subscribe("shoal.events.>", durable="mine", stream="EVENTS")
    heard = await admin.subscribe("shoal.>")
    await admin.flush()
    for target in ("shoal.events.login.ended.v1.login_1", "shoal.telemetry.batch.p1", "shoal.live.a.b.metrics"):
        for request in ("$JS.API.STREAM.INFO.EVENTS", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.mine"):
            await consumer.publish(request, b"", reply=target)
    assert await stored(consumer, "EVENTS") == 10  # answered, so the requests before it are handled too
    assert await stored(admin, "EVENTS") == 10
    assert await stored(admin, "TELEMETRY") == 1
    assert heard.pending_msgs == 0


async def test_consumer_sees_and_moves_no_consumer_of_a_service(admin: Client, connections: Connections) -> None:
    service = (await connections.open("ssh-manager")).jetstream()
    await service.pull_subscribe("shoal.events.user.>", durable="ssh-users", stream="EVENTS")
    stranger = (await connections.open("consumer")).jetstream(timeout=1)
    with pytest.raises(Error, match="consumer not found"):
        await stranger.consumer_info("EVENTS", "ssh-users")
    with pytest.raises(Error, match="consumer not found"):
        await stranger.delete_consumer("EVENTS", "ssh-users")
    assert (await service.consumer_info("EVENTS", "ssh-users")).num_pending == 10


async def test_copier_is_the_only_other_user_among_readers(users: Sequence[NatsUser]) -> None:
    assert {user.name for user in users if user.account == "READERS"} == {CONSUMER, "copier"}
