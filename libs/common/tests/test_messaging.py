"""Streams are there, publishing is durable or says why not, and a pull never sleeps on a message."""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js.api import DiscardPolicy, RetentionPolicy

from shoal.messaging import (
    DEAD,
    EVENTS,
    TELEMETRY,
    Bus,
    MessagingUnavailableError,
    Pull,
    RejectedMessageError,
    StreamLimits,
    acknowledge,
    streams,
    subscribed,
)
from shoal_embedded.nats import EmbeddedNats
from shoal_embedded.nats_users import NatsUser

from .toy import at_work, until

SUBJECT = "shoal.events.pairing.renamed.v1.pair_1"


@pytest_asyncio.fixture
async def admin(nats_at_hand: EmbeddedNats) -> AsyncIterator[Client]:
    client = await nats.connect(nats_at_hand.url, reconnect_time_wait=0.05, max_reconnect_attempts=-1)
    yield client
    await client.close()


@pytest_asyncio.fixture
async def pull(bus: Bus) -> AsyncIterator[Pull]:
    opened = await bus.pull(EVENTS, "toy", subjects=["shoal.events.pairing.renamed.v1.*"])
    yield opened
    await opened.close()


async def tell(bus: Bus, number: int = 0) -> None:
    await bus.publish(SUBJECT, json.dumps(number).encode(), message_id=f"m{number}", stream=EVENTS)


async def take(pull: Pull, count: int) -> list[Any]:
    """Take so many messages and acknowledge them."""
    taken: list[Any] = []
    async with asyncio.timeout(5):
        while len(taken) < count:
            for message in await pull.next(100):
                assert await acknowledge(message)
                taken.append(json.loads(message.data))
    return taken


async def stored(client: Client, stream: str = EVENTS) -> int:
    return int((await client.jetstream().stream_info(stream)).state.messages)


# streams


async def test_streams_are_bounded_on_disk_and_refuse_when_full(bus: Bus, admin: Client) -> None:
    for wanted in streams(StreamLimits()):
        found = (await admin.jetstream().stream_info(str(wanted.name))).config
        assert (found.subjects, found.max_bytes, found.max_age) == (wanted.subjects, wanted.max_bytes, wanted.max_age)
        assert (found.discard, found.storage, found.duplicate_window) == (DiscardPolicy.NEW, "file", 120)
        assert found.max_bytes is not None
        assert found.max_bytes > 0
    assert (await admin.jetstream().stream_info(TELEMETRY)).config.retention == RetentionPolicy.WORK_QUEUE


async def test_seven_services_that_start_at_once_find_every_stream(nats_at_hand: EmbeddedNats) -> None:
    buses = [Bus(nats_at_hand.url, name=f"service {number}") for number in range(7)]
    async with at_work(*(bus.run() for bus in buses)):
        await until(lambda: all(bus.problem() is None for bus in buses))
        await asyncio.gather(*(tell(bus, number) for number, bus in enumerate(buses)))
        assert await stored(buses[0].client) == 7
        await asyncio.gather(*(bus.close() for bus in buses))


async def test_second_start_leaves_streams_and_messages(bus: Bus, admin: Client, nats_at_hand: EmbeddedNats) -> None:
    await tell(bus)
    before = await admin.jetstream().stream_info(EVENTS)
    second = Bus(nats_at_hand.url, name="second")
    async with at_work(second.run()):
        await until(lambda: second.problem() is None)
        await second.close()
    after = await admin.jetstream().stream_info(EVENTS)
    assert (after.created, after.config, after.state.messages) == (before.created, before.config, 1)


async def test_other_limits_are_taken_over_by_an_existing_stream(
    bus: Bus, admin: Client, nats_at_hand: EmbeddedNats
) -> None:
    await tell(bus)
    second = Bus(nats_at_hand.url, name="second", limits=StreamLimits(events_bytes=64 * 1024 * 1024))
    async with at_work(second.run()):
        await until(lambda: second.problem() is None)
        await second.close()
    changed = await admin.jetstream().stream_info(EVENTS)
    assert (changed.config.max_bytes, changed.state.messages) == (64 * 1024 * 1024, 1)


def users(*denied: str) -> tuple[NatsUser, NatsUser]:
    return (
        NatsUser("admin", "pw", publish_allow=(">",), subscribe_allow=(">",)),
        NatsUser("toy", "pw", publish_allow=("shoal.>", "$JS.>"), publish_deny=denied, subscribe_allow=(">",)),
    )


async def test_service_that_may_not_change_streams_works_with_those_there_are(tmp_path: Path) -> None:
    denied = users("$JS.API.STREAM.CREATE.>", "$JS.API.STREAM.UPDATE.>")
    server = EmbeddedNats(tmp_path / "nats", sync_always=False, users=denied)
    await server.start()
    first = Bus(server.url_for("admin"), name="first")
    async with at_work(first.run()):
        await until(lambda: first.problem() is None)
        await first.close()
    limited = Bus(server.url_for("toy"), name="limited", limits=StreamLimits(dead_bytes=1024 * 1024))
    limited._jetstream._timeout = 0.2
    async with at_work(limited.run()):
        await until(lambda: limited.problem() is None)
        await tell(limited)
        await limited.close()
    await server.stop()


async def test_service_waits_for_streams_that_it_may_not_make(tmp_path: Path) -> None:
    denied = users("$JS.API.STREAM.CREATE.>", "$JS.API.STREAM.UPDATE.>")
    server = EmbeddedNats(tmp_path / "nats", sync_always=False, users=denied)
    await server.start()
    limited = Bus(server.url_for("toy"), name="limited")
    limited._jetstream._timeout = 0.2
    maker = Bus(server.url_for("admin"), name="maker")
    async with at_work(limited.run()):
        await until(lambda: limited.is_connected)
        assert limited.problem() == "streams are not there yet"
        async with at_work(maker.run()):
            await until(lambda: limited.problem() is None)
            await maker.close()
        await limited.close()
    await server.stop()


async def test_stream_that_cannot_be_made_is_told_and_tried_again(tmp_path: Path) -> None:
    server = EmbeddedNats(tmp_path / "nats", sync_always=False, max_file_bytes=1024 * 1024)
    await server.start()
    bus = Bus(server.url, name="toy")
    async with at_work(bus.run()):
        await until(lambda: bus.is_connected)
        await asyncio.sleep(0.2)
        assert bus.problem() == "streams are not there yet"
        await bus.close()
    await server.stop()


@pytest.mark.fault
async def test_streams_lost_with_the_servers_disk_are_made_again(
    bus: Bus, nats_at_hand: EmbeddedNats, tmp_path: Path
) -> None:
    await tell(bus)
    await nats_at_hand.stop()
    shutil.rmtree(tmp_path / "nats" / "jetstream")
    await nats_at_hand.start()

    async def works() -> bool:
        try:
            await tell(bus, 1)
        except MessagingUnavailableError:
            return False
        return True

    await until(works)


# publishing


async def ignore(_: object) -> None: ...


async def test_publish_is_stored_once_however_often_it_is_sent(bus: Bus, admin: Client) -> None:
    first = await bus.publish(SUBJECT, b"1", message_id="m", stream=EVENTS)
    again = await bus.publish(SUBJECT, b"1", message_id="m", stream=EVENTS)
    assert (first.stream, first.duplicate, again.duplicate, again.seq) == (EVENTS, None, True, first.seq)
    assert await stored(admin) == 1


async def test_message_id_wins_over_a_header_of_that_name(bus: Bus, admin: Client) -> None:
    await bus.publish(SUBJECT, b"1", message_id="mine", stream=EVENTS, headers={"Nats-Msg-Id": "theirs", "ce-id": "e"})
    message = await admin.jetstream().get_msg(EVENTS, 1)
    assert message.headers == {"Nats-Msg-Id": "mine", "ce-id": "e", "Nats-Expected-Stream": EVENTS}


@pytest.mark.parametrize(
    "subject",
    [
        "shoal.events.*", "shoal.events.>", "shoal.events.a b", "shoal.events.a\r\nPUB x 0", "shoal.events.",
        ".shoal.events", "shoal..events", "", "shoal", "shoal.events.\t", "shoal.events.\u00a0x",
    ],
)  # fmt: skip
async def test_what_is_no_subject_is_rejected(bus: Bus, subject: str) -> None:
    with pytest.raises(RejectedMessageError):
        await bus.publish(subject, b"", message_id="m", stream=EVENTS)


async def test_subject_of_another_stream_is_rejected(bus: Bus) -> None:
    with pytest.raises(RejectedMessageError, match="expected stream"):
        await bus.publish("shoal.dead.toy.x", b"", message_id="m", stream=EVENTS)


@pytest.mark.parametrize("size", [1024 * 1024, 2 * 1024 * 1024])
async def test_message_too_large_is_rejected(bus: Bus, size: int) -> None:
    with pytest.raises(RejectedMessageError):
        await bus.publish(SUBJECT, b"x" * size, message_id="m", stream=EVENTS)
    await tell(bus)


async def test_publish_that_this_user_may_not_is_rejected_at_once(tmp_path: Path) -> None:
    server = EmbeddedNats(tmp_path / "nats", sync_always=False, users=users("shoal.events.Pairing.>"))
    await server.start()
    bus = Bus(server.url_for("toy"), name="toy")
    async with at_work(bus.run()):
        await until(lambda: bus.problem() is None)
        started = time.monotonic()
        for _ in range(2):
            with pytest.raises(RejectedMessageError, match="may not publish"):
                await bus.publish("shoal.events.Pairing.x.v1.1", b"", message_id="m", stream=EVENTS)
        assert time.monotonic() - started < 1
        await tell(bus)
        await server.set_users(users())

        async def may() -> bool:
            try:
                await bus.publish("shoal.events.Pairing.x.v1.1", b"", message_id="m", stream=EVENTS)
            except (RejectedMessageError, MessagingUnavailableError):
                return False
            return True

        await until(may)
        await bus.close()
    await server.stop()


async def test_full_stream_means_try_again(bus: Bus, admin: Client) -> None:
    jetstream = admin.jetstream()
    config = (await jetstream.stream_info(EVENTS)).config
    config.max_msgs = 1
    await jetstream.update_stream(config)
    await tell(bus, 0)
    with pytest.raises(MessagingUnavailableError):
        await tell(bus, 1)
    await jetstream.purge_stream(EVENTS)
    await tell(bus, 1)


async def test_subject_without_a_stream_means_try_again(bus: Bus) -> None:
    with pytest.raises(MessagingUnavailableError):
        await bus.publish("nobody.takes.this", b"", message_id="m", stream=EVENTS)


async def test_server_down_means_unavailable_at_once_and_publishing_goes_on_after(
    bus: Bus, nats_at_hand: EmbeddedNats
) -> None:
    await nats_at_hand.stop()
    await until(lambda: not bus.is_connected)
    assert bus.problem() == "not connected"
    started = time.monotonic()
    with pytest.raises(MessagingUnavailableError) as refused:
        await tell(bus)
    assert time.monotonic() - started < 0.5
    assert refused.value.retry_after_s == 1
    await bus.publish_live("shoal.live.a.b.c", b"")
    await nats_at_hand.start()
    await until(lambda: bus.problem() is None)
    await tell(bus)


async def test_publish_without_an_answer_means_unavailable_by_its_deadline(tmp_path: Path) -> None:
    server = EmbeddedNats(tmp_path / "nats", sync_always=False)
    await server.start()
    bus = Bus(server.url, name="toy")
    async with at_work(bus.run()):
        await until(lambda: bus.problem() is None)
        await bus.client.subscribe("nobody.answers.this", cb=ignore)
        started = time.monotonic()
        with pytest.raises(MessagingUnavailableError):
            await bus.publish("nobody.answers.this", b"", message_id="m", stream=EVENTS, timeout_s=0.2)
        assert 0.15 < time.monotonic() - started < 1
        await bus.close()
    await server.stop()


async def test_bus_starts_before_the_server_and_closes_without_one(tmp_path: Path) -> None:
    never = Bus("nats://127.0.0.1:1", name="never")
    await never.close()
    assert never.problem() == "not connected"
    server = EmbeddedNats(tmp_path / "nats", sync_always=False)
    await server.start()
    await server.stop()
    bus = Bus(server.url, name="early")
    async with at_work(bus.run()):
        await asyncio.sleep(0.05)
        await server.start()
        await until(lambda: bus.problem() is None)
        await server.stop()
        started = time.monotonic()
        await bus.close()
        assert time.monotonic() - started < 2


async def test_what_is_asked_before_the_first_connection_stands_does_not_spoil_the_next(
    nats_at_hand: EmbeddedNats,
) -> None:
    """A server cuts a client that is slow to introduce itself, as services are that start all at once."""
    host, _, port = nats_at_hand.url.rpartition("/")[2].rpartition("@")[2].partition(":")
    cut: list[int] = []

    async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(host, int(port))
        writer.write(await server_reader.readline())
        await reader.readline()
        if len(cut) < 2:
            cut.append(1)
            server_writer.close()
            writer.close()
            return
        server_writer.write(b'CONNECT {"verbose":false,"headers":true,"protocol":1}\r\n')
        await asyncio.gather(copied(reader, server_writer), copied(server_reader, writer))

    async def ask() -> Pull:
        while True:
            try:
                return await bus.pull(EVENTS, "asked-early", subjects=["shoal.events.pairing.renamed.v1.*"])
            except MessagingUnavailableError:
                await asyncio.sleep(0.01)

    server = await asyncio.start_server(between, "127.0.0.1", 0)
    bus = Bus(f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}", name="toy")
    asking = asyncio.create_task(ask())
    async with at_work(bus.run()):
        await until(lambda: bus.problem() is None, within_s=8)
        await (await asyncio.wait_for(asking, 5)).close()
        await bus.close()
    assert len(cut) == 2
    server.close()


async def copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def test_bus_that_gave_up_says_so(nats_at_hand: EmbeddedNats) -> None:
    bus = Bus(nats_at_hand.url, name="toy")
    running = asyncio.create_task(bus.run())
    await until(lambda: bus.problem() is None)
    await bus.client.close()
    with pytest.raises(ConnectionError, match="gave up"):
        await asyncio.wait_for(running, 2)


async def test_live_messages_reach_who_listens_and_are_not_stored(bus: Bus, admin: Client) -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()
    async with subscribed(admin, "shoal.live.>", heard.put):
        await bus.publish_live("shoal.live.a.b.status", b"x")
        assert (await asyncio.wait_for(heard.get(), 2)).data == b"x"
    for client in (admin, bus.client):
        await client.flush()
    await bus.publish_live("shoal.live.a.b.status", b"y")
    for client in (bus.client, bus.client, admin):
        await client.flush()
    assert heard.empty()


# pulling


async def test_message_is_handed_over_at_once(bus: Bus, pull: Pull) -> None:
    waiting = asyncio.create_task(take(pull, 1))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    started = time.monotonic()
    await tell(bus)
    assert await waiting == [0]
    assert time.monotonic() - started < 0.1


async def test_messages_come_in_order_and_each_once(bus: Bus, pull: Pull) -> None:
    for number in range(250):
        await tell(bus, number)
    assert await take(pull, 250) == list(range(250))


async def test_batch_is_no_larger_than_asked_for(bus: Bus, pull: Pull) -> None:
    for number in range(10):
        await tell(bus, number)
    sizes = [len(await pull.next(3)) for _ in range(4)]
    assert sum(sizes) == 10
    assert max(sizes) <= 3


async def test_request_that_ran_out_is_followed_by_another(
    bus: Bus, pull: Pull, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pull, "EXPIRES_S", 0.3)
    monkeypatch.setattr(Pull, "HEARTBEAT_S", 0.1)
    waiting = asyncio.create_task(take(pull, 2))
    await until(lambda: pull._number >= 3)
    await tell(bus, 0)
    await until(lambda: pull._number >= 5)
    await tell(bus, 1)
    assert await waiting == [0, 1]


async def test_request_that_ran_out_behind_messages_costs_none_of_them(
    bus: Bus, pull: Pull, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a request may lie in the queue behind its messages while their handler is busy."""
    monkeypatch.setattr(Pull, "EXPIRES_S", 0.3)
    monkeypatch.setattr(Pull, "HEARTBEAT_S", 0.1)
    await tell(bus, 0)
    (first,) = await pull.next(100)
    for number in range(1, 5):
        await tell(bus, number)
    await until(lambda: any((message.headers or {}).get("Status") == "408" for message in pull._queue._queue))
    await acknowledge(first)
    assert await take(pull, 4) == [1, 2, 3, 4]
    for number in range(5, 30):
        await tell(bus, number)
    assert await take(pull, 25) == list(range(5, 30))
    assert pull._outstanding <= 100


async def test_lost_request_is_noticed_by_its_silence(
    bus: Bus, pull: Pull, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pull, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(pull, "_outstanding", 100)  # as if it had been sent
    monkeypatch.setattr(pull, "_heard_at", asyncio.get_running_loop().time())
    await tell(bus)
    assert await take(pull, 1) == [0]


@pytest.mark.fault
async def test_restarted_server_hands_over_at_once(bus: Bus, pull: Pull, nats_at_hand: EmbeddedNats) -> None:
    await tell(bus, 0)
    assert await take(pull, 1) == [0]
    waiting = asyncio.create_task(take(pull, 1))
    await until(lambda: pull._outstanding > 0)
    await nats_at_hand.stop()
    await nats_at_hand.start()
    await until(lambda: bus.problem() is None)
    await until(lambda: bus.is_connected)
    await tell(bus, 1)
    started = time.monotonic()
    assert await waiting == [1]
    assert time.monotonic() - started < 1.5


async def test_deleted_consumer_ends_the_pull(bus: Bus, pull: Pull, admin: Client) -> None:
    waiting = asyncio.create_task(pull.next(10))
    await until(lambda: pull._outstanding > 0)
    await bus.client.flush()
    await admin.jetstream().delete_consumer(EVENTS, "toy")
    with pytest.raises(MessagingUnavailableError):
        await asyncio.wait_for(waiting, 2)


async def test_pull_on_a_consumer_that_is_not_there_ends_without_a_storm(bus: Bus, admin: Client) -> None:
    pull = await bus.pull(EVENTS, "short")
    await admin.jetstream().delete_consumer(EVENTS, "short")
    with pytest.raises(MessagingUnavailableError):
        await asyncio.wait_for(pull.next(10), 2)
    assert pull._number == 1
    await pull.close()


async def test_messages_that_came_before_the_end_are_handed_over(bus: Bus, pull: Pull, admin: Client) -> None:
    await tell(bus)
    waiting = asyncio.create_task(pull.next(1))
    assert len(await waiting) == 1
    await tell(bus, 1)
    first = asyncio.create_task(pull.next(10))
    assert [message.data for message in await first] == [b"1"]
    await admin.jetstream().delete_consumer(EVENTS, "toy")
    with pytest.raises(MessagingUnavailableError):
        await asyncio.wait_for(pull.next(10), 2)


async def test_durable_is_changed_by_opening_it_otherwise(bus: Bus, admin: Client) -> None:
    await (await bus.pull(EVENTS, "toy", subjects=["shoal.events.a.*"])).close()
    await (await bus.pull(EVENTS, "toy", subjects=["shoal.events.a.*", "shoal.events.b.*"])).close()
    info = await admin.jetstream().consumer_info(EVENTS, "toy")
    assert info.config.filter_subjects == ["shoal.events.a.*", "shoal.events.b.*"]


async def test_pull_without_a_stream_means_try_again(bus: Bus) -> None:
    with pytest.raises(MessagingUnavailableError):
        await bus.pull("NOWHERE", "toy")


async def test_cancelled_wait_loses_nothing(bus: Bus, pull: Pull) -> None:
    for number in range(20):
        waiting = asyncio.create_task(pull.next(10))
        await asyncio.sleep(0)
        await tell(bus, number)
        waiting.cancel()
        outcome = (await asyncio.gather(waiting, return_exceptions=True))[0]
        if isinstance(outcome, list):
            for message in outcome:
                await acknowledge(message)
        else:
            assert await take(pull, 1) == [number]


async def test_messages_that_are_worked_on_go_to_nobody_else(bus: Bus, admin: Client) -> None:
    mine = await bus.pull(EVENTS, "toy", ack_wait_s=0.6)
    for number in range(2):
        await tell(bus, number)
    (working_on,) = await mine.next(1)
    other = await bus.pull(EVENTS, "toy", ack_wait_s=0.6)
    assert await take(other, 1) == [1]
    await asyncio.sleep(1.5)  # more than twice as long as the server waits
    assert (await admin.jetstream().consumer_info(EVENTS, "toy")).num_redelivered == 0
    assert await acknowledge(working_on)
    await mine.close()
    await other.close()


async def test_message_that_was_dropped_or_whose_process_died_soon_goes_to_another(bus: Bus) -> None:
    for is_dead in (False, True):
        mine = await bus.pull(EVENTS, "toy", ack_wait_s=0.6)
        await tell(bus, int(is_dead))
        held = await mine.next(1)
        if is_dead:
            await mine.close()
        else:
            held.clear()
        other = await bus.pull(EVENTS, "toy", ack_wait_s=0.6)
        async with asyncio.timeout(2):
            assert await take(other, 1) == [int(is_dead)]
        await mine.close()
        await other.close()


async def test_acknowledgement_that_nobody_answers_is_not_certain(
    bus: Bus, pull: Pull, nats_at_hand: EmbeddedNats
) -> None:
    await tell(bus)
    (message,) = await pull.next(1)
    await nats_at_hand.stop()
    assert not await acknowledge(message, timeout_s=0.2)


async def test_dead_letters_have_a_stream_of_their_own(bus: Bus, admin: Client) -> None:
    await bus.publish("shoal.dead.toy.x", b"", message_id="d", stream=DEAD)
    assert await stored(admin, DEAD) == 1


async def test_foreign_stream_settings_are_left_alone(admin: Client, nats_at_hand: EmbeddedNats) -> None:
    """An operator may describe a stream and count on that text staying, as long as our terms hold."""
    (wanted, *_) = streams(StreamLimits())
    wanted.description = "ours"
    await admin.jetstream().add_stream(wanted)
    bus = Bus(nats_at_hand.url, name="toy")
    async with at_work(bus.run()):
        await until(lambda: bus.problem() is None)
        await bus.close()
    assert (await admin.jetstream().stream_info(EVENTS)).config.description == "ours"
