"""Questions about a hundred agents' month, through the gateway."""

import time
from collections.abc import Awaitable, Callable
from statistics import median

from stack import PairedAgent, Stack
from stack.figures import percentile

from bench.agents import paired
from bench.caller import Caller
from bench.rows import Row, Scale, bench_stack
from bench.seed import seed

AGENTS, WARM = 100, 20
BARS = {("24h", "1h"): 10.0, ("30d", "1d"): 50.0, ("24h", "1m"): None, ("7d", "1h"): None}


async def run(scale: Scale) -> list[Row]:
    """Ask about each agent in turn, one question at a time."""
    async with bench_stack() as stack:
        agents = await paired(stack, AGENTS)
        counted = await seed(stack, agents)
        rows = []
        for (period, resolution), bar in BARS.items():
            ask = await asking(stack, f"?period={period}&resolution={resolution}")
            for agent in agents[:WARM]:
                await ask(agent)
            times = [await ask(agent) for _ in range(scale.rounds) for agent in agents]
            rows.append(
                Row(
                    f"metrics query {period}@{resolution}, all metrics, {AGENTS} agents, 30 d, through the gateway",
                    f"p50 {median(times):.1f} ms, p99 {percentile(times, 0.99):.1f} ms",
                    f"{counted['hour']:,} hours, {counted['day']:,} days, {counted['minute']:,} minutes stored",
                    bar=f"p50 ≤ {bar:g} ms" if bar else "is reported",
                    holds=median(times) <= bar if bar else None,
                )
            )
        started = time.perf_counter()
        await stack.admin.get("/telemetry/overview", period="30d")
        rows.append(
            Row("overview of the fleet over 30 d, once", f"{(time.perf_counter() - started) * 1000:.0f} ms",
                bar="is reported")
        )  # fmt: skip
    return rows


async def asking(stack: Stack, query: str) -> Callable[[PairedAgent], Awaitable[float]]:
    """Open one connection to the gateway; its questions return milliseconds."""
    caller = await Caller.open(stack.url, key=await stack.admin.create_key())

    async def ask(agent: PairedAgent) -> float:
        answer = await caller.ask("GET", f"/telemetry/metrics/{agent.agent_id}{query}")
        assert b'"value":' in answer.body, answer.body[:300]
        return answer.took_ms

    return ask
