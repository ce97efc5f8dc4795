"""Durable frames by CPU-second of the ingest process, beside bare JetStream and bare COPY; memory of idle sockets."""

import asyncio
import signal
import time
from statistics import median
from uuid import uuid4

import asyncpg
import msgspec
from stack import Stack
from stack.figures import resident, watched

from bench.agents import PING, UNLIMITED, RawAgent, connected, paired
from bench.processes import cpu_seconds
from bench.rows import Row, Scale, bench_stack

AGENTS, PIECE, IDLE = 20, 500, 500
BAR, MAX_MIB = 30_000, 200.0
PACKED, PACKED_BYTES = 100, 20_000


async def run(scale: Scale) -> list[Row]:
    """Stream from a few agents as fast as they are acknowledged; nobody consumes beside."""
    async with bench_stack(**UNLIMITED) as stack:
        agents = await paired(stack, 50 if scale.quick else IDLE)
        assert stack.suite.nats is not None
        is_synced = (await stack.suite.nats.monitor("/jsz"))["config"].get("sync_always") is True
        assert is_synced, "sync_interval is not always"
        stack.suite.processes["metrics-query"].send(signal.SIGSTOP)
        by_cpu, by_wall, total = [], [], 0
        async with watched(stack.suite.processes) as memory, connected(stack, agents[:AGENTS]) as senders:
            for _ in range(scale.rounds):
                frames, seconds, busy = await flood(stack, senders, scale.seconds)
                total += frames
                by_cpu.append(frames / busy)
                by_wall.append(frames / seconds)
        await check(stack, total)
        bare = await bare_publishing(stack, scale.seconds)
        copied = await bare_copy(stack, scale.seconds)
        stack.suite.processes["metrics-query"].send(signal.SIGCONT)
        await stack.stop("telemetry-ingest")
        await stack.start("telemetry-ingest")  # a process that has not grown before
        idle = await idle_socket(stack, agents)
    return [
        Row(
            "ingest: durable frames by CPU-second of the ingest process (socket to PubAck, fsync always)",
            f"{median(by_cpu):,.0f} frames/CPU-s ({median(by_wall):,.0f} frames/s on the clock)",
            f"bare JetStream of {PACKED} frames each {bare:,.0f} messages/s; bare COPY {copied:,.0f} rows/s",
            median(by_wall) / (bare * PACKED),
            f"≥ {BAR:,} frames/CPU-s",
            median(by_cpu) >= BAR,
        ),
        Row(
            "ingest: most resident memory",
            f"{memory.highest['telemetry-ingest']:.0f} MiB",
            bar=f"≤ {MAX_MIB:.0f} MiB",
            holds=memory.highest["telemetry-ingest"] <= MAX_MIB,
        ),
        Row(f"ingest: memory by idle socket ({len(agents)} of them)", f"{idle:.1f} KiB", bar="is reported"),
    ]


async def flood(stack: Stack, senders: list[RawAgent], seconds: float) -> tuple[int, float, float]:
    """Keep two pieces of frames under way on each socket; returns frames stored, seconds, and CPU-seconds."""
    pid = stack.process("telemetry-ingest").pid
    started, before = time.monotonic(), cpu_seconds(pid)

    async def send(sender: RawAgent) -> int:
        piece = sender.metrics() * PIECE + PING
        asked = sender.pongs
        first = asked
        while time.monotonic() - started < seconds:
            await sender.wire.write(piece)
            asked += 1
            await sender.pong(asked - 1)
        await sender.pong(asked)
        return (asked - first) * PIECE

    frames = sum(await asyncio.gather(*(send(sender) for sender in senders)))
    return frames, time.monotonic() - started, cpu_seconds(pid) - before


async def check(stack: Stack, frames: int) -> None:
    """Make sure that everything that was answered for is in the stream."""
    async with stack.nats() as bus:
        jetstream, stored = bus.jetstream(), 0
        for sequence in range(1, (await jetstream.stream_info("TELEMETRY")).state.last_seq + 1):
            batch = msgspec.json.decode((await jetstream.get_msg("TELEMETRY", sequence)).data or b"{}")
            stored += sum(len(group["samples"]) for group in batch["groups"])
    assert stored == frames, f"{stored} of {frames} frames are stored"


async def bare_publishing(stack: Stack, seconds: float) -> float:
    """Publish messages of the same size to the same stream, 64 at once; messages a second."""
    payload = b"x" * PACKED_BYTES
    deadline, done = time.monotonic() + seconds, 0
    async with stack.nats() as bus:
        jetstream = bus.jetstream()

        async def publish() -> None:
            nonlocal done
            while time.monotonic() < deadline:
                await jetstream.publish("shoal.telemetry.batch.bare", payload, headers={"Nats-Msg-Id": uuid4().hex})
                done += 1

        await asyncio.gather(*(publish() for _ in range(64)))
        await jetstream.purge_stream("TELEMETRY")
    return done / seconds


async def bare_copy(stack: Stack, seconds: float) -> float:
    """Copy rows of a frame's seven figures into a plain table, a thousand at once; rows a second."""
    assert stack.suite.postgres is not None
    connection = await asyncpg.connect(stack.suite.postgres.url)
    try:
        await connection.execute("create table bare (source int, at bigint, a float, b float, c float, d float)")
        rows = [(n % 20, n, 142.0, 850.0, 256.0, 12.0) for n in range(1000)]
        deadline, done = time.monotonic() + seconds, 0
        while time.monotonic() < deadline:
            await connection.copy_records_to_table("bare", records=rows)
            done += len(rows)
        await connection.execute("drop table bare")
    finally:
        await connection.close()
    return done / seconds


async def idle_socket(stack: Stack, agents: list) -> float:
    """Tell how much memory a socket takes that says nothing, in KiB."""
    pid = stack.process("telemetry-ingest").pid
    async with connected(stack, agents[:AGENTS]):
        await asyncio.sleep(2)
    before = resident(pid)
    async with connected(stack, agents):
        await asyncio.sleep(2)
        return (resident(pid) - before) * 1024 / len(agents)
