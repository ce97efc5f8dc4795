"""The stream: nothing lost, resends exact, limits honoured, refusals final."""

import asyncio
import json
import logging
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from agent_doubles import AGENT, TOKEN, Ingest, eventually

from shoal_agent.exchange import Settings
from shoal_agent.frames import Error, ErrorBody, Status, encode, timestamp
from shoal_agent.journal import Journal
from shoal_agent.stream import StreamState, StreamStatus, TelemetryStream


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal") as journal:
        yield journal


def fill(journal: Journal, count: int, *, size: int = 10) -> None:
    for number in range(count):
        body = ErrorBody(error_type="test", message=f"{number:06d}" + "x" * size)
        journal.append(encode(Error(agent_id=AGENT, timestamp=timestamp(), data=body)))


@asynccontextmanager
async def streaming(ingest: Ingest, journal: Journal, **settings: float) -> AsyncIterator[TelemetryStream]:
    stream = TelemetryStream(ingest.url, TOKEN, journal, settings=Settings(**settings))
    running = asyncio.create_task(stream.run())
    try:
        yield stream
    finally:
        stream.stop()
        await asyncio.wait_for(running, 5)


async def test_journal_is_delivered_in_order_and_acknowledged(ingest: Ingest, journal: Journal) -> None:
    fill(journal, 30)
    async with streaming(ingest, journal):
        await eventually(lambda: not journal.pending)
        assert ingest.seqs == list(range(1, 31))
        assert ingest.epochs == {journal.epoch}
        assert ingest.batches > 0


async def test_new_frames_follow_at_once(ingest: Ingest, journal: Journal) -> None:
    async with streaming(ingest, journal) as stream:
        await eventually(lambda: stream.status.state is StreamState.STREAMING)
        started = time.monotonic()
        journal.append(encode(Status(agent_id=AGENT, status="busy", timestamp=timestamp())))
        stream.notify()
        await eventually(lambda: not journal.pending)
        assert time.monotonic() - started < 0.5
        assert ingest.of_type("status")[0]["status"] == "busy"


async def test_notify_works_from_another_thread(ingest: Ingest, journal: Journal) -> None:
    async with streaming(ingest, journal) as stream:
        await eventually(lambda: stream.status.state is StreamState.STREAMING)

        def work() -> None:
            fill(journal, 5)
            stream.notify()

        await asyncio.to_thread(work)
        await eventually(lambda: not journal.pending)


async def test_backfill_stays_below_the_servers_rate(ingest: Ingest, journal: Journal) -> None:
    """The double counts every window of one second and fails the test when one holds too many."""
    fill(journal, 150)
    started = time.monotonic()
    async with streaming(ingest, journal):
        await eventually(lambda: not journal.pending)
    assert 1.4 < time.monotonic() - started < 3


async def test_rate_follows_what_the_server_says(ingest: Ingest, journal: Journal) -> None:
    ingest.behaviour.messages_per_second = 1000
    fill(journal, 600)
    started = time.monotonic()
    async with streaming(ingest, journal):
        await eventually(lambda: not journal.pending)
    assert time.monotonic() - started < 2


async def test_batches_stay_below_the_servers_frame_size(ingest: Ingest, journal: Journal) -> None:
    """The double's socket takes 64 KiB and closes with 1009 otherwise."""
    fill(journal, 18, size=20_000)
    async with streaming(ingest, journal):
        await eventually(lambda: not journal.pending)
    assert (ingest.sockets, ingest.batches) == (1, 6)


async def test_unacknowledged_frames_are_bounded(ingest: Ingest, journal: Journal) -> None:
    ingest.behaviour.loses_acks = ingest.behaviour.loses_pongs = True
    fill(journal, 60)
    async with streaming(ingest, journal, window=20):
        await eventually(lambda: len(ingest.frames) == 20)
        await asyncio.sleep(0.3)
        assert len(ingest.frames) == 20
        assert journal.pending == 60


async def test_lost_acks_are_made_up_for_by_pongs(ingest: Ingest, journal: Journal) -> None:
    ingest.behaviour.loses_acks = True
    fill(journal, 20)
    async with streaming(ingest, journal, ping_every_s=0.2):
        await eventually(lambda: not journal.pending)
    assert ingest.resent == 0


async def test_frames_without_ack_are_resent_exactly(ingest: Ingest, journal: Journal) -> None:
    """The double compares every resend with what it got first."""
    ingest.behaviour.loses_acks = ingest.behaviour.loses_pongs = True
    fill(journal, 20)
    async with streaming(ingest, journal):
        await eventually(lambda: len(ingest.frames) == 20)
        await ingest.die()
        ingest.behaviour.loses_acks = False
        await ingest.start()
        await eventually(lambda: not journal.pending)
    assert ingest.resent == 20
    assert ingest.epochs == {journal.epoch}


async def test_server_killed_mid_stream_loses_nothing(ingest: Ingest, journal: Journal) -> None:
    fill(journal, 120)
    async with streaming(ingest, journal):
        for kill in range(1, 4):
            await eventually(lambda kill=kill: len(ingest.frames) >= kill * 20)
            await ingest.die()
            await ingest.start()
        await eventually(lambda: not journal.pending)
    assert ingest.seqs == list(range(1, 121))


async def test_restarted_server_sees_it_back_within_three_seconds(ingest: Ingest, journal: Journal) -> None:
    async with streaming(ingest, journal) as stream:
        await eventually(lambda: stream.status.state is StreamState.STREAMING)
        await ingest.stop()
        await eventually(lambda: stream.status.attempts >= 3)
        back = time.monotonic()
        await ingest.start()
        await eventually(lambda: stream.status.state is StreamState.STREAMING)
        assert time.monotonic() - back < 3


async def test_silent_server_is_left_and_found_again(ingest: Ingest, journal: Journal) -> None:
    ingest.behaviour.loses_pongs = True
    async with streaming(ingest, journal, ping_every_s=0.1, silence_s=0.3):
        await eventually(lambda: ingest.sockets >= 2)


async def test_it_pings(ingest: Ingest, journal: Journal) -> None:
    async with streaming(ingest, journal, ping_every_s=0.1, silence_s=0.5):
        await eventually(lambda: ingest.pings >= 8)
        assert ingest.sockets == 1


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (4401, StreamState.REFUSED),
        (4403, StreamState.REFUSED),
        (4409, StreamState.UNPAIRED),
        (4410, StreamState.SUPERSEDED),
    ],
)
async def test_refusals_for_good_end_the_stream(
    ingest: Ingest, journal: Journal, code: int, state: StreamState
) -> None:
    ingest.behaviour.close_after = (5, code)
    fill(journal, 10)
    stream = TelemetryStream(ingest.url, TOKEN, journal)
    status = await asyncio.wait_for(stream.run(), 5)
    assert status.state is state
    assert str(code) in status.reason
    assert ingest.sockets == 1


@pytest.mark.parametrize("code", [1001, 1012, 1013, 4429, 4400, 1011])
async def test_other_close_codes_are_tried_again(ingest: Ingest, journal: Journal, code: int) -> None:
    ingest.behaviour.close_after = (5, code)
    fill(journal, 20)
    async with streaming(ingest, journal):
        await eventually(lambda: not journal.pending)
    assert ingest.sockets == 2


async def test_refused_sign_in_says_what_the_server_said(
    ingest: Ingest, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    ingest.behaviour.auth_error = ("invalid_token", "Unknown token\x1b[31m", 4401)
    with caplog.at_level(logging.INFO):
        status = await asyncio.wait_for(TelemetryStream(ingest.url, TOKEN, journal).run(), 5)
    assert status.state is StreamState.REFUSED
    assert "invalid_token: Unknown token" in status.reason
    assert "\x1b" not in status.reason
    assert any("refused" in record.getMessage() for record in caplog.records if record.levelname == "ERROR")


async def test_unreachable_owner_of_the_token_is_no_refusal(ingest: Ingest, journal: Journal) -> None:
    ingest.behaviour.auth_error = ("unavailable", "try again later", 1013)
    async with streaming(ingest, journal) as stream:
        await eventually(lambda: ingest.sockets >= 2)
        ingest.behaviour.auth_error = None
        await eventually(lambda: stream.status.state is StreamState.STREAMING)


async def test_refused_frames_are_counted_and_not_sent_again(
    ingest: Ingest, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    ingest.behaviour.refuses = lambda frame: "timestamp_out_of_range" if frame["seq"] % 5 == 0 else None
    fill(journal, 20)
    async with streaming(ingest, journal) as stream:
        await eventually(lambda: not journal.pending)
        assert stream.status.refused == {"timestamp_out_of_range": 4}
    assert len(ingest.frames) == 16
    assert "refused frame 5" in caplog.text


async def test_drain_waits_for_the_last_ack(ingest: Ingest, journal: Journal) -> None:
    async with streaming(ingest, journal) as stream:
        await eventually(lambda: stream.status.state is StreamState.STREAMING)
        fill(journal, 30)
        assert await stream.drain(5)
        assert journal.pending == 0


async def test_drain_gives_up_when_nobody_acknowledges(ingest: Ingest, journal: Journal) -> None:
    ingest.behaviour.loses_acks = ingest.behaviour.loses_pongs = True
    fill(journal, 3)
    async with streaming(ingest, journal) as stream:
        await eventually(lambda: len(ingest.frames) == 3)
        assert not await stream.drain(0.2)
        await ingest.die()
        assert not await stream.drain(5)


async def test_stop_says_goodbye_and_is_prompt_while_waiting(ingest: Ingest, journal: Journal) -> None:
    await ingest.stop()
    seen: list[StreamStatus] = []
    stream = TelemetryStream(ingest.url, TOKEN, journal, on_change=seen.append)
    running = asyncio.create_task(stream.run())
    await eventually(lambda: stream.status.attempts >= 3)
    stream.stop()
    status = await asyncio.wait_for(running, 1)
    assert status.state is StreamState.STOPPED
    assert {StreamState.CONNECTING, StreamState.WAITING} < {status.state for status in seen}


async def test_journal_that_begins_anew_signs_in_anew(
    ingest: Ingest, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal_agent.journal.journal.MAX_SEQ", 5)
    fill(journal, 5)
    async with streaming(ingest, journal) as stream:
        await eventually(lambda: not journal.pending)
        fill(journal, 3)
        stream.notify()
        await eventually(lambda: not journal.pending)
    assert len(ingest.epochs) == 2
    assert len(ingest.frames) == 8


async def test_token_reaches_no_log(ingest: Ingest, journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    fill(journal, 3)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("websockets").setLevel(logging.DEBUG)
        logging.getLogger("websockets.client").setLevel(logging.DEBUG)
        async with streaming(ingest, journal) as stream:
            await eventually(lambda: not journal.pending)
            assert TOKEN not in repr(vars(stream)["_exchange"])
    # The double is a websockets server, and logs what it receives.
    ours = [record for record in caplog.records if not record.name.startswith("websockets.server")]
    assert TOKEN not in json.dumps([record.getMessage() for record in ours])
    assert any("streaming to" in record.getMessage() for record in ours)


async def test_memory_does_not_grow_with_the_backlog(ingest: Ingest, journal: Journal) -> None:
    fill(journal, 20_000, size=500)
    ingest.behaviour.messages_per_second = 2000
    tracemalloc.start()
    try:
        async with streaming(ingest, journal):
            await eventually(lambda: len(ingest.frames) > 300)
        filters = [tracemalloc.Filter(inclusive=True, filename_pattern="*/shoal_agent/*")]
        held = sum(stat.size for stat in tracemalloc.take_snapshot().filter_traces(filters).statistics("filename"))
    finally:
        tracemalloc.stop()
    assert held < 500_000
