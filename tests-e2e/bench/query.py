"""Questions about a hundred agents' month, through the gateway."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median

from stack import PairedAgent, Stack
from stack.figures import percentile

from bench.agents import paired
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
    """Open one connection to the gateway, bare of any client library; its questions return milliseconds."""
    host, _, port = stack.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**24)
    headers = f"Host: {host}:{port}\r\nAuthorization: Bearer {await stack.admin.create_key()}\r\n\r\n"

    async def ask(agent: PairedAgent) -> float:
        started = time.perf_counter()
        path = f"/telemetry/metrics/{agent.agent_id}{query}"
        writer.write(f"GET {path} HTTP/1.1\r\n{headers}".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readuntil(b"\r\n0\r\n\r\n")
        took = (time.perf_counter() - started) * 1000
        assert head.startswith(b"HTTP/1.1 200"), head
        assert b'"value":' in body, body[:300]
        return took

    return ask
