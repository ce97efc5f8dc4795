"""From a frame on a socket to a figure that can be asked for: how many a second, and how soon."""

import asyncio
import time

from stack import Stack
from stack.figures import percentile

from bench.agents import PING, UNLIMITED, RawAgent, connected, paired
from bench.ingest import flood
from bench.rows import Row, Scale, bench_stack

AGENTS, PROBES = 50, 60
TICK_S = 0.05
BAR, FRESH_S = 10_000, 2.0


async def run(scale: Scale) -> list[Row]:
    """Flood and wait until everything is counted; then go at half the bar, and look how old answers are."""
    async with bench_stack(**UNLIMITED) as stack:
        agents = await paired(stack, AGENTS + 1)
        async with connected(stack, agents) as (probe, *senders):
            started = time.monotonic()
            frames, _, _ = await flood(stack, senders, scale.seconds * 2)
            await until_counted(stack)
            rate = frames / (time.monotonic() - started)
            stored = (await stack.query("select sum(frames)::int as stored from metrics_query.minute"))[0]["stored"]
            assert stored == frames, f"{stored} of {frames} frames are there"
            pacing = asyncio.ensure_future(pace(senders, BAR / 2))
            await asyncio.sleep(2)
            ages = [await age_of_an_answer(stack, probe, n) for n in range(1, (15 if scale.quick else PROBES) + 1)]
            pacing.cancel()
            achieved = (await asyncio.gather(pacing, return_exceptions=True))[0]
    assert isinstance(achieved, asyncio.CancelledError), achieved
    fresh = percentile(ages, 0.99)
    return [
        Row(
            f"ingest to queryable, whole machine, {AGENTS} agents (load generator included)",
            f"{rate:,.0f} frames/s",
            bar=f"≥ {BAR:,} frames/s",
            holds=rate >= BAR,
        ),
        Row(
            f"freshness at {BAR // 2:,} frames/s: frame sent to figure answered through the gateway, p99",
            f"{fresh:.2f} s (p50 {percentile(ages, 0.5):.2f} s)",
            bar=f"≤ {FRESH_S:g} s",
            holds=fresh <= FRESH_S,
        ),
    ]


async def until_counted(stack: Stack) -> None:
    """Wait until no batch waits to be counted."""
    async with stack.nats() as bus, asyncio.timeout(300):
        while (await bus.jetstream().stream_info("TELEMETRY")).state.messages:
            await asyncio.sleep(0.02)


async def pace(senders: list[RawAgent], rate: float) -> None:
    """Send so many frames a second in all, for ever."""
    pieces = [(sender, sender.metrics()) for sender in senders]
    each = max(1, round(rate * TICK_S / len(senders)))
    due = time.monotonic()
    while True:
        due += each * len(senders) / rate
        for sender, piece in pieces:
            await sender.wire.write(piece * each)
        await asyncio.sleep(max(0, due - time.monotonic()))


async def age_of_an_answer(stack: Stack, probe: RawAgent, number: int) -> float:
    """Count up by one, and ask until the answer has it; returns seconds."""
    path = f"/telemetry/metrics/{probe.agent.agent_id}?period=1h&metrics=messages"
    started = time.monotonic()
    await probe.wire.write(probe.metrics(messages_total=number, uptime_s=60, messages_1h=None) + PING)
    async with asyncio.timeout(30):
        while True:
            answer = await stack.admin.client.get(path)
            if answer.is_success and answer.json()["summary"]["total_messages"] >= number:
                return time.monotonic() - started
            await asyncio.sleep(0.01)
