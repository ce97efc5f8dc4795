"""Ten thousand agents, a frame a minute each: what a fleet costs that mostly holds its sockets open.

The figures of docs/capacity.md are fitted to this run: memory by socket, processor and disk by frame.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Sequence

from msgspec import Struct
from stack import PairedAgent, Stack
from stack.figures import percentile, resident

from bench.agents import PING, RawAgent
from bench.freshness import until_counted
from bench.processes import cpu_seconds
from bench.rows import Row, Scale, bench_stack
from shoal.identity import Principal

AGENTS, QUICK_AGENTS, PROXIED = 10_000, 300, 500
EVERY_S = 60.0
OPENING, PAIRING = 50, 8
BEATS = {"TELEMETRY_INGEST_IDLE_TIMEOUT": "5m", "TELEMETRY_INGEST_SOCKETS_PER_USER": "1000"}
MEASURED = ("telemetry-ingest", "metrics-query", "pairing", "gateway", "nats", "postgres")


class Use(Struct, frozen=True):
    """What the processes had used at a moment."""

    at: float
    cpu: dict[str, float]
    rss: dict[str, float]
    disk: int


async def run(scale: Scale) -> list[Row]:
    """Pair, connect, and let each agent send once a minute, for three minutes; one when quick."""
    count = QUICK_AGENTS if scale.quick else AGENTS
    minutes = 1.0 if scale.quick else 3.0
    async with bench_stack(**BEATS) as stack:
        started = time.monotonic()
        agents = await paired(stack, count)
        pairing_s = time.monotonic() - started
        empty = await use(stack)
        started = time.monotonic()
        async with connected(stack, agents) as sockets:
            connecting_s = time.monotonic() - started
            await asyncio.sleep(5)
            before = await use(stack)
            delays, frames = await live(sockets, minutes * 60)
            after = await use(stack)
            lost = [one.wire.closed.result() for one in sockets if one.wire.closed.done()]
            assert not lost, f"{len(lost)} sockets were lost: {lost[0]}"
            await until_counted(stack)
            counted = (await stack.query("select sum(frames)::int as frames from metrics_query.minute"))[0]["frames"]
            assert counted == frames, f"{counted} of {frames} frames are counted"
            listed = (await stack.admin.get("/telemetry/overview"))["total"]
        proxied = await gateway_socket(stack, agents[:PROXIED])
    seconds = after.at - before.at
    busy = {name: (after.cpu[name] - before.cpu[name]) / seconds for name in MEASURED}
    each = (before.rss["telemetry-ingest"] - empty.rss["telemetry-ingest"]) * 1024 / count
    return [
        Row(f"fleet: {count:,} agents, one frame a minute each", f"{frames / seconds:,.0f} frames/s, all counted",
            f"paired in {pairing_s:.0f} s, connected in {connecting_s:.0f} s", bar="none lost, none doubled",
            holds=counted == frames and listed >= count),
        Row("fleet: frame sent to acknowledged, p99", f"{percentile(delays, 0.99) * 1000:.0f} ms",
            f"p50 {percentile(delays, 0.5) * 1000:.0f} ms", bar="≤ 1 s", holds=percentile(delays, 0.99) <= 1),
        Row("fleet: processor, share of one core", f"{sum(busy.values()):.2f} in all",
            ", ".join(f"{name} {share:.2f}" for name, share in busy.items()), bar="≤ 2 cores",
            holds=sum(busy.values()) <= 2),
        Row("fleet: memory of the ingest process by socket", f"{each:.1f} KiB",
            f"{after.rss['telemetry-ingest']:.0f} MiB in all", bar="is reported"),
        Row(f"fleet: memory of the gateway by socket ({min(count, PROXIED)} of them)", f"{proxied:.1f} KiB",
            bar="is reported"),
        Row("fleet: memory of the other processes",
            f"{sum(after.rss.values()) - after.rss['telemetry-ingest']:.0f} MiB",
            ", ".join(f"{name} {mib:.0f}" for name, mib in after.rss.items() if name != "telemetry-ingest"),
            bar="is reported"),
        Row("fleet: database by minute row", f"{(after.disk - before.disk) / max(1, frames):,.0f} bytes",
            f"{after.disk / 2**20:.0f} MiB in all", bar="is reported"),
    ]  # fmt: skip


async def paired(stack: Stack, count: int) -> list[PairedAgent]:
    """Pair agents, a few at once."""
    gate, made = asyncio.Semaphore(PAIRING), list[PairedAgent]()

    async def pair() -> None:
        async with gate:
            made.append(await stack.admin.pair())

    await asyncio.gather(*(pair() for _ in range(count)))
    return made


@contextlib.asynccontextmanager
async def connected(stack: Stack, agents: Sequence[PairedAgent]) -> AsyncIterator[list[RawAgent]]:
    """Connect all of them to the ingest process, some at once, while the block runs."""
    url = f"ws{stack.direct_url('telemetry-ingest').removeprefix('http')}/telemetry"
    gate, issuer = asyncio.Semaphore(OPENING), stack.issuer("gateway")
    sockets = [RawAgent(agent) for agent in agents]

    async def connect(one: RawAgent) -> None:
        async with gate:
            nobody = issuer.issue(Principal(source="127.0.0.1"), audience="telemetry-ingest")
            await one.open(url, nobody)

    try:
        await asyncio.gather(*(connect(one) for one in sockets))
        yield sockets
    finally:
        for one in sockets:
            if hasattr(one, "wire"):
                one.wire.close()


async def gateway_socket(stack: Stack, agents: Sequence[PairedAgent]) -> float:
    """Tell how much memory of the gateway a socket takes that passes through it, in KiB."""
    before, sockets = resident(stack.process("gateway").pid), [RawAgent(agent) for agent in agents]
    for one in sockets:
        await one.open(stack.websocket_url)
    await asyncio.sleep(2)
    grown = resident(stack.process("gateway").pid) - before
    for one in sockets:
        one.wire.close()
    return grown * 1024 / len(sockets)


async def live(sockets: Sequence[RawAgent], seconds: float, *, every_s: float = EVERY_S) -> tuple[list[float], int]:
    """Have each agent send a frame so often, each at a moment of its own; returns delays and how many were sent."""
    until, delays = time.monotonic() + seconds, list[float]()

    async def be(one: RawAgent) -> None:
        await asyncio.sleep(random.uniform(0, every_s))
        while True:
            sent, asked = time.monotonic(), one.pongs
            await one.wire.write(one.metrics() + PING)
            await one.pong(asked + 1)
            delays.append(time.monotonic() - sent)
            if sent + every_s > until:
                return
            await asyncio.sleep(max(0, every_s - (time.monotonic() - sent)))

    await asyncio.gather(*(be(one) for one in sockets))
    return delays, len(delays)


async def use(stack: Stack) -> Use:
    """Look at every process, PostgreSQL's children included, those that have ended too."""
    pids = {name: [stack.process(name), *stack.process(name).children(recursive=True)] for name in MEASURED}
    ended = stack.process("postgres").cpu_times()
    disk = (await stack.query("select pg_database_size(current_database()) as size"))[0]["size"]
    return Use(
        at=time.monotonic(),
        cpu={
            name: sum(cpu_seconds(one.pid) for one in found if one.is_running())
            + (ended.children_user + ended.children_system) * (name == "postgres")
            for name, found in pids.items()
        },
        rss={name: resident(found[0].pid) for name, found in pids.items()},
        disk=disk,
    )
