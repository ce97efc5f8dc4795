"""One process says every live frame to many dashboards; one of them stops listening."""

import asyncio
import json
import socket
import time
from statistics import median

from stack import Stack
from stack.figures import percentile

from bench.agents import UNLIMITED, connected, paired
from bench.freshness import pace
from bench.processes import cpu_seconds
from bench.rows import Row, Scale, bench_stack
from bench.wire import Wire, frame
from shoal.identity import HEADER, Principal

AGENTS, VIEWERS = 50, 100
RATES = (200, 400, 600, 800, 1000, 1400)
CALM, FILL, FILL_S = 200, 1000, 8.0
BAR, MOVED = 50_000, 1.2


class Viewer:
    """A dashboard's socket: counts frames, and tells how old those are that carry a time."""

    def __init__(self) -> None:
        self.frames = 0
        self.ages: list[float] = []
        self.wire: Wire

    def hear(self, message: bytes) -> None:
        """Take a frame."""
        self.frames += 1
        at = message.find(b'"uptime_s":')
        if self.frames % 20 == 0 and at > 0:
            sent = float(message[at + 11 : at + 40].replace(b"}", b",").split(b",")[0])
            self.ages.append(time.time() - sent)


async def run(scale: Scale) -> list[Row]:
    """Raise the rate until deliveries no longer follow; then look at delays with and without a stalled viewer."""
    async with bench_stack(**UNLIMITED) as stack:
        agents = await paired(stack, AGENTS)
        viewers = await watching(stack, VIEWERS)
        async with connected(stack, agents) as senders:
            best, by_cpu, of = 0.0, 0.0, 0.0
            for rate in RATES:
                pid = stack.process("telemetry-ingest").pid
                work = asyncio.ensure_future(pace(senders, rate))
                await asyncio.sleep(1)
                before, busy, started = sum(v.frames for v in viewers), cpu_seconds(pid), time.monotonic()
                await asyncio.sleep(scale.seconds)
                seconds = time.monotonic() - started
                delivered = (sum(v.frames for v in viewers) - before) / seconds
                busy = (cpu_seconds(pid) - busy) / seconds
                work.cancel()
                if delivered > best:
                    best, by_cpu, of = delivered, delivered / busy, rate * VIEWERS
                if delivered < 0.8 * rate * VIEWERS:
                    break
            calm, stalled = await beside_a_stalled_viewer(senders, viewers, scale)
    for viewer in viewers:
        viewer.wire.close()
    moved = stalled / calm
    return [
        Row(
            f"fan-out: deliveries from one process to {VIEWERS} viewers",
            f"{best:,.0f} deliveries/s ({by_cpu:,.0f} by CPU-second)",
            f"offered {of:,.0f}/s",
            best / of,
            f"≥ {BAR:,} /s",
            best >= BAR,
        ),
        Row(
            "fan-out: others' p99 delay while one viewer has stalled",
            f"{stalled * 1000:.1f} ms",
            f"without {calm * 1000:.1f} ms",
            moved,
            f"< {MOVED}",
            moved < MOVED,
        ),
    ]


async def watching(stack: Stack, count: int) -> list[Viewer]:
    """Open dashboards' sockets straight at the ingest process, by API key."""
    key = await stack.admin.create_key("viewer")
    url = f"ws{stack.direct_url('telemetry-ingest').removeprefix('http')}/telemetry"
    issuer, viewers = stack.issuer("gateway"), []
    for _ in range(count):
        viewer = Viewer()
        identity = issuer.issue(Principal(source="127.0.0.1"), audience="telemetry-ingest")
        viewer.wire = await Wire.open(url, viewer.hear, {HEADER.decode(): identity})
        await viewer.wire.write(frame(json.dumps({"type": "auth", "token": key}).encode()))
        viewers.append(viewer)
    async with asyncio.timeout(20):
        while not all(viewer.frames for viewer in viewers):
            await asyncio.sleep(0.02)
    return viewers


async def beside_a_stalled_viewer(senders: list, viewers: list[Viewer], scale: Scale) -> tuple[float, float]:
    """Measure the p99 of delays at a calm rate, with and without a first viewer who does not read, in turn."""
    reading: list[float] = []
    stalled: list[float] = []
    for _ in range(scale.rounds):
        reading.append(await delays(senders, viewers[1:], scale.seconds))
        await stall(viewers[0], senders)
        stalled.append(await delays(senders, viewers[1:], scale.seconds))
        viewers[0].wire.transport.resume_reading()
    return median(reading), median(stalled)


async def stall(viewer: Viewer, senders: list) -> None:
    """Let a viewer read no more, and say so much that no buffer on the way has room left."""
    viewer.wire.transport.pause_reading()
    viewer.wire.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    work = asyncio.ensure_future(pace(senders, FILL))
    await asyncio.sleep(FILL_S)
    work.cancel()


async def delays(senders: list, viewers: list[Viewer], seconds: float) -> float:
    """Tell the p99 of how long frames are on their way to those who read."""
    work = asyncio.ensure_future(stamped(senders, CALM))
    await asyncio.sleep(2)
    for viewer in viewers:
        viewer.ages.clear()
    await asyncio.sleep(seconds)
    work.cancel()
    return percentile((age for viewer in viewers for age in viewer.ages), 0.99)


async def stamped(senders: list, rate: float) -> None:
    """Send frames that carry the time of sending where the contract has the uptime."""
    due, number = time.monotonic(), 0
    while True:
        due += 1 / rate
        sender = senders[number % len(senders)]
        number += 1
        await sender.wire.write(sender.metrics(uptime_s=time.time()))
        await asyncio.sleep(max(0, due - time.monotonic()))
