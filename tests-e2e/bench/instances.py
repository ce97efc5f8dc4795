"""Instances as processes of this machine: how soon a create is answered, how soon it runs, and how soon fifty do."""

import asyncio
import time
from statistics import median

import httpx
from stack.figures import percentile

from bench.rows import Row, Scale, bench_stack

INSTANCES = "/api/v1/instances"
ONES, MANY = 12, 50
ANSWER_MS, RUNNING_S, ALL_S = 15.0, 2.0, 60.0
POLL_S = 0.02


async def run(scale: Scale) -> list[Row]:
    """Create one at a time on a calm machine, then fifty at once; everything is deleted again."""
    async with bench_stack() as stack:
        client = stack.admin.client
        answered, running = await one_by_one(client, 4 if scale.quick else ONES)
        count = 10 if scale.quick else MANY
        converged = await at_once(client, count)
        gone = await delete_all(client)
    return [
        Row(
            "instances: create answered through the gateway, one at a time, p50",
            f"{median(answered):.1f} ms (p99 {percentile(answered, 0.99):.1f} ms)",
            bar=f"≤ {ANSWER_MS:.0f} ms",
            holds=median(answered) <= ANSWER_MS,
        ),
        Row(
            "instances: a local one runs after its create was answered, p50",
            f"{median(running):.2f} s (worst {max(running):.2f} s)",
            bar=f"≤ {RUNNING_S:.0f} s",
            holds=median(running) <= RUNNING_S,
        ),
        Row(
            f"instances: {count} local ones created at once, all run",
            f"{converged:.1f} s (all gone {gone:.1f} s after their deletion)",
            bar=f"≤ {ALL_S:.0f} s",
            holds=converged <= ALL_S,
        ),
    ]


async def one_by_one(client: httpx.AsyncClient, count: int) -> tuple[list[float], list[float]]:
    """Create, await and delete; returns the milliseconds of the answers and the seconds until each ran."""
    answered, running = [], []
    for number in range(count + 1):
        started = time.perf_counter()
        made = await client.post(INSTANCES, json={"display_name": f"bench {number}"})
        took = time.perf_counter() - started
        made.raise_for_status()
        place = f"{INSTANCES}/{made.json()['id']}"
        async with asyncio.timeout(60):
            while (await client.get(place)).json()["status"] != "running":
                await asyncio.sleep(POLL_S)
        if number:  # the first one warms up
            answered.append(took * 1000)
            running.append(time.perf_counter() - started - took)
        (await client.delete(place)).raise_for_status()
        await asyncio.sleep(1.5)  # its process ends meanwhile
    return answered, running


async def at_once(client: httpx.AsyncClient, count: int) -> float:
    """Create many at once; returns the seconds until all of them run."""
    started = time.perf_counter()
    made = await asyncio.gather(
        *(client.post(INSTANCES, json={"display_name": f"crowd {number}"}) for number in range(count))
    )
    assert [answer.status_code for answer in made] == [201] * count, [answer.text for answer in made]
    async with asyncio.timeout(300):
        while sum(one["status"] == "running" for one in await listed(client)) < count:
            await asyncio.sleep(0.2)
    return time.perf_counter() - started


async def delete_all(client: httpx.AsyncClient) -> float:
    """Delete every instance; returns the seconds until their ports can be had again."""
    every = await listed(client)
    started = time.perf_counter()
    await asyncio.gather(*(client.delete(f"{INSTANCES}/{one['id']}") for one in every))
    async with asyncio.timeout(120):
        while (
            again := await client.post(INSTANCES, json={"display_name": "after all"})
        ).status_code == httpx.codes.CONFLICT:
            await asyncio.sleep(0.2)
    again.raise_for_status()
    gone = time.perf_counter() - started
    (await client.delete(f"{INSTANCES}/{again.json()['id']}")).raise_for_status()
    return gone


async def listed(client: httpx.AsyncClient) -> list[dict]:
    """List every instance."""
    answer = await client.get(INSTANCES)
    answer.raise_for_status()
    instances: list[dict] = answer.json()
    return instances
