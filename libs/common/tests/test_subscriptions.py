"""Effects of facts happen once; failures are tried again and then set aside, and nothing else waits for them."""

import asyncio
import json
import time
from uuid import uuid4

import pytest
from nats.aio.client import Client

from shoal import deliveries, subscriptions
from shoal.database import Database, Transaction
from shoal.messaging import DEAD, EVENTS, Bus
from shoal.subscriptions import Handlers
from shoal.telemetry import Metrics
from shoal_embedded.nats import EmbeddedNats
from shoal_events import PairingRenamed, UserDeleted

from .subscribing import DURABLE, Make, dead, outcomes, pending, publish, until_acknowledged, until_notes
from .toy import at_work, keep, renamed, until


async def test_facts_are_handled_in_order_and_acknowledged(
    database: Database, bus: Bus, make_subscriber: Make, admin: Client, metrics: Metrics
) -> None:
    subscriber = make_subscriber()
    assert subscriber.problem() == "not subscribed yet"
    async with at_work(subscriber.run()):
        for name in "abcde":
            await publish(bus, name)
        await until_notes(database, pair_1="a b c d e")
        await until_acknowledged(admin)
        assert subscriber.problem() is None
    assert outcomes(metrics) == {"done": 5}


async def test_facts_published_before_the_first_start_are_handled(
    database: Database, bus: Bus, make_subscriber: Make
) -> None:
    await publish(bus, "early")
    async with at_work(make_subscriber().run()):
        await until_notes(database, pair_1="early")


async def test_fact_delivered_twice_has_its_effects_once(
    database: Database, bus: Bus, make_subscriber: Make, admin: Client, metrics: Metrics
) -> None:
    async with at_work(make_subscriber().run()):
        event_id = await publish(bus, "a")
        await publish(bus, "a", event_id=event_id)  # as a relay does that was away for longer than the stream remembers
        await publish(bus, "b")
        await until_notes(database, pair_1="a b")
        await until_acknowledged(admin)
    assert outcomes(metrics) == {"done": 2, "duplicate": 1}


async def test_subscriber_that_dies_before_the_acknowledgement_does_nothing_twice(
    database: Database, bus: Bus, make_subscriber: Make, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> bool:
        await asyncio.sleep(60)
        return False

    with monkeypatch.context() as patched:
        patched.setattr(subscriptions, "acknowledge", never)
        async with at_work(make_subscriber().run()):
            await publish(bus, "a")
            await until_notes(database, pair_1="a")
    assert await pending(admin) == 1
    # what was not acknowledged is delivered again when its time is up: made to be now
    config = (await admin.jetstream().consumer_info(EVENTS, DURABLE)).config
    await admin.jetstream().delete_consumer(EVENTS, DURABLE)
    assert config.durable_name == DURABLE
    async with at_work(make_subscriber().run()):
        await publish(bus, "b")
        await until_notes(database, pair_1="a b")
        await until_acknowledged(admin)


async def test_two_subscribers_of_a_service_share_the_work(
    database: Database, bus: Bus, make_subscriber: Make, admin: Client, metrics: Metrics
) -> None:
    async with at_work(make_subscriber().run(), make_subscriber().run()):
        for number in range(50):
            await publish(bus, "x", pairing_id=f"pair_{number}")
        await until_notes(database, **{f"pair_{number}": "x" for number in range(50)})
        await until_acknowledged(admin)
    assert outcomes(metrics)["done"] == 50


async def test_two_purposes_each_hear_everything(database: Database, bus: Bus, make_subscriber: Make) -> None:
    async with at_work(make_subscriber().run(), make_subscriber(purpose="other").run()):
        await publish(bus, "a")
        await until_notes(database, pair_1="a a")


async def test_other_facts_are_not_delivered(
    database: Database, bus: Bus, make_subscriber: Make, admin: Client
) -> None:
    async with at_work(make_subscriber().run()):
        other = UserDeleted(user_id="user_1", account_id="acct_1", version=2)
        await bus.publish(
            other.subject,
            other.to_json(),
            message_id="m",
            stream=EVENTS,
            headers={"ce-type": other.event_type, "ce-id": str(uuid4())},
        )
        await publish(bus, "a")
        await until_notes(database, pair_1="a")
        await until_acknowledged(admin)


async def test_handler_that_fails_and_then_succeeds_leaves_its_effects_once(
    database: Database, bus: Bus, make_subscriber: Make, admin: Client, metrics: Metrics
) -> None:
    tries = 0

    async def stumble(tx: Transaction, fact: PairingRenamed) -> None:
        nonlocal tries
        await keep(tx, fact)
        tries += 1
        if tries < 4:
            raise KeyError(fact.name)

    async with at_work(make_subscriber({PairingRenamed: stumble}).run()):
        await publish(bus, "a")
        await until_notes(database, pair_1="a")
        await until_acknowledged(admin)
    assert outcomes(metrics) == {"retried": 3, "done": 1}


async def test_poison_is_set_aside_with_its_story_and_delays_nobody(
    database: Database,
    bus: Bus,
    make_subscriber: Make,
    admin: Client,
    metrics: Metrics,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliveries, "BACK_OFF_S", (0.2,))

    async def choke(tx: Transaction, fact: PairingRenamed) -> None:
        if fact.name == "poison":
            raise ValueError("cannot\r\nswallow ☠")
        await keep(tx, fact)

    async with at_work(make_subscriber({PairingRenamed: choke}).run()):
        await publish(bus, "warm up", pairing_id="pair_0")
        await until_notes(database, pair_0="warm up")
        event_id = await publish(bus, "poison", message_id="original")
        started = time.monotonic()
        await publish(bus, "later")
        await until_notes(database, pair_0="warm up", pair_1="later")
        assert time.monotonic() - started < 1
        (message,) = await dead(admin, 1)
        await until_acknowledged(admin)
    assert json.loads(message.data)["name"] == "poison"
    assert message.subject == "shoal.dead.toy.toy-names"
    assert message.headers["ce-id"] == event_id
    assert message.headers["shoal-subject"] == "shoal.events.pairing.renamed.v1.pair_1"
    assert message.headers["shoal-reason"].startswith("ValueError('cannot")
    assert message.headers["Nats-Msg-Id"] == "toy-names:2"
    assert outcomes(metrics) == {"done": 2, "retried": deliveries.MAX_FAILURES - 1, "dead": 1}


async def test_poison_of_two_purposes_is_set_aside_twice(bus: Bus, make_subscriber: Make, admin: Client) -> None:
    async def choke(_: Transaction, __: PairingRenamed) -> None:
        raise ValueError

    handlers: Handlers = {PairingRenamed: choke}
    async with at_work(make_subscriber(handlers).run(), make_subscriber(handlers, purpose="other").run()):
        await publish(bus, "poison")
        found = await dead(admin, 2)
    assert {message.subject for message in found} == {"shoal.dead.toy.toy-names", "shoal.dead.toy.toy-other"}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"{", {}),
        (b"\xff\xfe", {}),
        (b'{"pairing_id": 1}', {}),
        (b'{"pairing_id": "pair_1"}', {}),
        (b"[" * 100_000, {}),
        (None, {"ce-id": "no uuid"}),
        (None, {"ce-type": "something.else.v1"}),
        (None, {"ce-type": ""}),
    ],
)
async def test_what_cannot_be_read_is_set_aside_at_once(
    database: Database,
    bus: Bus,
    make_subscriber: Make,
    admin: Client,
    metrics: Metrics,
    body: bytes | None,
    headers: dict[str, str],
) -> None:
    event = renamed(name="unread")
    told = {"ce-type": event.event_type, "ce-id": str(uuid4())} | headers
    async with at_work(make_subscriber().run()):
        payload = event.to_json() if body is None else body
        await bus.publish(event.subject, payload, message_id="m", stream=EVENTS, headers=told)
        await publish(bus, "good")
        await until_notes(database, pair_1="good")
        (message,) = await dead(admin, 1)
        await until_acknowledged(admin)
    assert message.data == payload
    assert outcomes(metrics) == {"dead": 1, "done": 1}


@pytest.mark.parametrize(
    "head",
    [
        b"NATS/1.0\r\n\r\n",
        b"NATS/1.0\r\nce-type: pairing.renamed.v1\r\nodd: \xff\xfe\xc3\r\n\r\n",
        b"NATS/1.0\r\nce-type: pairing.renamed.v1\r\nstrange name: x\r\n\r\n",
        b"NATS/1.0\r\nwithout a colon\r\n\r\n",
        b"NATS/1.0\r\nStatus: 503\r\n\r\n",
        b"rubbish, longer than the first line of headers\r\n\r\n",
    ],
)
async def test_headers_of_a_stranger_stop_nobody(
    database: Database, bus: Bus, make_subscriber: Make, nats_at_hand: EmbeddedNats, admin: Client, head: bytes
) -> None:
    """Whoever may publish may write any bytes there; nats-py itself would refuse to send these."""
    async with at_work(make_subscriber().run()):
        reader, writer = await asyncio.open_connection("127.0.0.1", nats_at_hand.port)
        body = renamed().to_json()
        subject = renamed().subject.encode()
        writer.write(b'CONNECT {"verbose":false,"headers":true}\r\n')
        writer.write(b"HPUB %s %d %d\r\n%s%s\r\nPING\r\n" % (subject, len(head), len(head) + len(body), head, body))
        await writer.drain()
        while await reader.readline() not in {b"PONG\r\n", b""}:
            pass
        writer.close()
        await publish(bus, "good")
        await until_notes(database, pair_1="good")
        await dead(admin, 1)


async def test_full_stream_of_the_dead_stops_nobody(
    database: Database, bus: Bus, make_subscriber: Make, admin: Client
) -> None:
    config = (await admin.jetstream().stream_info(DEAD)).config
    config.max_msgs = 1
    await admin.jetstream().update_stream(config)
    await admin.jetstream().publish("shoal.dead.toy.x", b"")
    event = renamed()
    async with at_work(make_subscriber().run()):
        await bus.publish(event.subject, b"unreadable", message_id="m", stream=EVENTS)
        await publish(bus, "good")
        await until_notes(database, pair_1="good")
        await admin.jetstream().purge_stream(DEAD)

        async def kept() -> bool:
            return int((await admin.jetstream().stream_info(DEAD)).state.messages) == 1

        await until(kept, within_s=8)
        await until_acknowledged(admin)
