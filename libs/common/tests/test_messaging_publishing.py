"""Publishing is durable, or says why not."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from structlog.testing import capture_logs

from shoal.messaging import EVENTS, Bus, MessagingUnavailableError, Pull, RejectedMessageError, subscribed
from shoal_embedded.nats import EmbeddedNats

from .messages import SUBJECT, stored, tell, users
from .toy import at_work, until


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


async def test_live_messages_arrive_whole_and_in_order_however_fast_they_come(bus: Bus, admin: Client) -> None:
    heard: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue()

    async def hear(message: Msg) -> None:
        heard.put_nowait((message.data, (message.headers or {})["of"]))

    await admin.subscribe("live.>", cb=hear)
    await admin.flush()
    await admin.flush()  # the first ping overtakes the subscription, which nats-py gathers with what follows
    for number in range(300):
        await bus.publish_live("live.a" if number % 2 else "live.b", b"%d" % number, headers={"of": str(number)})
        if number % 100 == 99:
            await asyncio.sleep(0.005)
    async with asyncio.timeout(5):
        assert [await heard.get() for _ in range(300)] == [(b"%d" % number, str(number)) for number in range(300)]


async def heard_on(client: Client, subject: str) -> list[bytes]:
    """Listen from now on; returns what is heard."""
    heard: list[bytes] = []

    async def hear(message: Msg) -> None:
        heard.append(message.data)

    await client.subscribe(subject, cb=hear)
    await client.flush()
    await client.flush()  # the first ping overtakes the subscription, which nats-py gathers with what follows
    return heard


async def test_lines_that_come_at_once_go_as_one_message_up_to_a_size(bus: Bus, admin: Client) -> None:
    heard = await heard_on(admin, "live.lines")
    lines = [b"%d" % number for number in range(10)] + [b"x" * 40_000, b"y" * 40_000, b"z" * 100_000, b"end"]
    for line in lines:
        await bus.publish_live("live.lines", line, is_line=True)
        await bus.publish_live("live.other", line)
    await until(lambda: len(heard) == 4)
    assert [message.partition(b"\n")[0][:1] for message in heard] == [b"0", b"y", b"z", b"e"]
    assert [line for message in heard for line in message.split(b"\n")] == lines


async def test_live_messages_published_just_before_the_end_are_sent(bus: Bus, admin: Client) -> None:
    heard = await heard_on(admin, "live.last")
    for number in range(3):
        await bus.publish_live("live.last", b"%d" % number)
    await bus.close()
    await until(lambda: heard == [b"0", b"1", b"2"])


async def test_live_messages_that_nobody_takes_do_not_fill_the_memory(bus: Bus, nats_at_hand: EmbeddedNats) -> None:
    assert nats_at_hand.pid is not None
    os.kill(nats_at_hand.pid, signal.SIGSTOP)
    try:
        before = psutil.Process().memory_info().rss
        for _ in range(400):
            await bus.publish_live("live.flood", b"x" * 256 * 1024)
            await asyncio.sleep(0)
        assert psutil.Process().memory_info().rss - before < 48 * 1024 * 1024
    finally:
        os.kill(nats_at_hand.pid, signal.SIGCONT)


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


async def test_bus_that_ends_warns_of_nothing(nats_at_hand: EmbeddedNats) -> None:
    bus = Bus(nats_at_hand.url, name="toy")
    with capture_logs() as lines:
        async with at_work(bus.run()):
            await until(lambda: bus.problem() is None)
            await bus.close()
    assert lines == []


async def test_lost_connection_is_warned_of(bus: Bus, nats_at_hand: EmbeddedNats) -> None:
    with capture_logs() as lines:
        await nats_at_hand.stop()
        await until(lambda: {"event": "nats_disconnected", "log_level": "warning"} in lines)


async def test_bus_closes_in_time_though_the_server_takes_nothing(bus: Bus, nats_at_hand: EmbeddedNats) -> None:
    assert nats_at_hand.pid is not None
    own = psutil.Process()
    os.kill(nats_at_hand.pid, signal.SIGSTOP)
    try:
        for _ in range(64):
            await bus.publish_live("live.flood", b"x" * 256 * 1024)
        started = time.monotonic()
        await bus.close()
        assert time.monotonic() - started < 6
        await until(lambda: nats_at_hand.port not in {peer.raddr.port for peer in own.net_connections() if peer.raddr})
    finally:
        os.kill(nats_at_hand.pid, signal.SIGCONT)
