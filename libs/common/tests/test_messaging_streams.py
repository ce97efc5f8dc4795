"""Streams are there, as they should be, or the service says so."""

import asyncio
import shutil
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js.api import DiscardPolicy, RetentionPolicy

from shoal.messaging import DEAD, EVENTS, TELEMETRY, Bus, MessagingUnavailableError, StreamLimits, streams
from shoal_embedded.nats import EmbeddedNats

from .messages import stored, tell, users
from .toy import at_work, until


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
