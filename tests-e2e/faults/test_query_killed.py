"""metrics-query is killed at random while frames pour in: its figures are exactly those of one quiet pass."""

import asyncio
import random
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import httpx
import pytest
from exactness.expected import Window, answer, points_of, summary
from exactness.lives import Life, frame_of
from exactness.reference import Figures, Told
from stack import PairedAgent, Stack
from stack.figures import tell, watched

from shoal.testing.suite import eventually

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1800)]

AGENTS, FRAMES, KILLS = 20, 2500, 10
PIECE, PAUSE_S = 100, 0.7
TWICE = 0.1
QUESTIONS = [("1h", "1m"), ("1h", "1d"), ("24h", "1m"), ("24h", "5m"), ("24h", "1h"), ("7d", "1h"), ("30d", "1d")]


async def test_every_figure_equals_the_documented_algorithm_run_once(stack: Stack, size: int) -> None:
    agents = [await stack.admin.pair() for _ in range(AGENTS)]
    now, redelivered = datetime.now(UTC), await redeliveries(stack)
    lives = [Life(n, frames=FRAMES * size, now=now) for n in range(AGENTS)]
    async with watched(stack.suite.processes) as memory:
        killing = asyncio.ensure_future(kill_at_random(stack, KILLS * size))
        resent = await asyncio.gather(*(send(stack, *pair) for pair in zip(agents, lives, strict=True)))
        sent_at = time.monotonic()
        await killing
        await stack.until_ready("metrics-query")
        await eventually(lambda: is_counted(stack), within_s=60)
    recovery_s = time.monotonic() - sent_at
    handled, redelivered = await outcomes(stack), await redeliveries(stack) - redelivered
    compared = wrong = 0
    for agent, life in zip(agents, lives, strict=True):
        points, differences = await compare(stack, agent, life.told)
        compared += points
        wrong += len(differences)
        assert not differences, f"{agent.agent_id}: {len(differences)}: {differences[:3]} … {differences[-3:]}"
    tell(
        "metrics-query killed -9",
        kills=KILLS * size,
        ops=sum(len(life.told) for life in lives),
        sent_again=sum(resent),
        batches_redelivered=redelivered,
        counted_since_last_start=int(handled.get("counted", 0)),
        figures_compared=compared,
        wrong=wrong,
        recovery_s=recovery_s,
        rss_mib=memory.highest["metrics-query"],
    )
    assert redelivered, "a process was killed that held batches"


async def send(stack: Stack, agent: PairedAgent, life: Life) -> int:
    """Send a whole life through the gateway's door; some pieces twice. Returns how many frames went again."""
    again, dice = 0, random.Random(agent.agent_id)
    headers = {"Authorization": f"Bearer {agent.token}"}
    async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=60, trust_env=False) as client:
        for epoch, told in life.by_epoch().items():
            for start in range(0, len(told), PIECE):
                piece = [frame_of(one, agent.agent_id) for one in told[start : start + PIECE]]
                await deliver(client, epoch, piece)
                if dice.random() < TWICE:
                    await deliver(client, epoch, piece)
                    again += len(piece)
                await asyncio.sleep(PAUSE_S)
    return again


async def deliver(client: httpx.AsyncClient, epoch: str, items: Sequence[object]) -> None:
    """Send until it is stored; whatever is uncertain is sent again."""
    while True:
        try:
            answer = await client.post("/telemetry/ingest", json={"epoch": epoch, "items": items})
        except httpx.HTTPError:
            continue
        if answer.is_success:
            said = answer.json()
            assert (said["accepted"], said["refused"]) == (len(items), 0), said
            return
        assert answer.status_code in {429, 503}, answer.text
        await asyncio.sleep(float(answer.headers.get("retry-after", "0.2")))


async def kill_at_random(stack: Stack, times: int) -> None:
    """Kill metrics-query at moments that nobody can foresee; every other time while it holds what it cannot finish."""
    for number in range(times):
        await asyncio.sleep(random.uniform(0.2, 1.5))
        if number % 2:
            stack.process("metrics-query").send_signal(signal.SIGSTOP)
            await asyncio.sleep(random.uniform(0.2, 0.5))
        await stack.kill("metrics-query")
        await stack.start("metrics-query")


async def is_counted(stack: Stack) -> bool:
    """Tell whether no batch waits, and every changed hour is rolled up."""
    async with stack.nats() as bus:
        if (await bus.jetstream().stream_info("TELEMETRY")).state.messages:
            return False
    return not await stack.query("select from metrics_query.dirty_hour limit 1")


async def redeliveries(stack: Stack) -> int:
    """Tell how often a batch was delivered again."""
    async with stack.nats() as bus:
        delivered = (await bus.jetstream().consumer_info("TELEMETRY", "metrics_query-samples")).delivered
    assert delivered is not None
    return int(delivered.consumer_seq - delivered.stream_seq)


async def outcomes(stack: Stack) -> dict[str, float]:
    """Read what became of samples since the last start."""
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"{stack.direct_url('metrics-query')}/metrics")).text
    lines = [line for line in text.splitlines() if line.startswith("shoal_samples_total{")]
    return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in lines}


async def compare(stack: Stack, agent: PairedAgent, told: Sequence[Told]) -> tuple[int, list[str]]:
    """Ask every question, and compare every point; returns how many there were, and what differs."""
    figures, differences, compared = Figures(told), [], 0
    for period, resolution in QUESTIONS:
        said, window = await ask(stack, agent, period, resolution)
        wanted = answer(figures, window)
        for name, points in said["data"].items():
            got = points_of(points)
            compared += len(points)
            differences += [
                f"{period}@{resolution} {name} {at}: {got.get(at)} instead of {wanted[name].get(at)}"
                for at in sorted(got.keys() | wanted[name].keys())
                if got.get(at) != wanted[name].get(at)
            ]
        shown = {name: said["summary"][name] for name in summary(figures, window)}
        if shown != summary(figures, window):
            differences.append(f"{period}@{resolution} summary {shown} instead of {summary(figures, window)}")
    skills = await stack.admin.get(f"/telemetry/skills/{agent.agent_id}", period="7d")
    called = {skill["skill"]: skill["calls"] for skill in skills["skills"] if skill["calls"]}
    if called != {name: calls for name, calls in figures.calls().items() if calls}:
        differences.append(f"skills {called} instead of {figures.calls()}")
    return compared, differences


async def ask(stack: Stack, agent: PairedAgent, period: str, resolution: str) -> tuple[dict, Window]:
    """Ask, and know for which minute the answer was made."""
    while True:
        minute = int(time.time()) // 60
        path = f"/telemetry/metrics/{agent.agent_id}"
        said = await stack.admin.get(path, period=period, resolution=resolution)
        if int(time.time()) // 60 == minute:
            return said, Window.of(period, resolution, minute)
