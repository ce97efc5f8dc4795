"""Logs of pods."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest_asyncio
from api_relay import Cluster
from orchestrator_door import INSTANCES, Door

from shoal.testing.suite import eventually


@pytest_asyncio.fixture
async def pod(door: Door, cluster: Cluster) -> AsyncIterator[str]:
    await door.create()
    await door.until_status(1, "running")
    name = (await cluster.pods())[0]["metadata"]["name"]
    cluster.say(name, "one", "two", "three")
    yield name


async def test_the_last_lines_are_told_as_exact_frames(door: Door, pod: str) -> None:
    answer = await door.admin.get(f"{INSTANCES}/1/logs", params={"tail": 2, "follow": "false"})
    assert answer.text == "data: two\n\ndata: three\n\n"


async def test_a_followed_log_survives_a_cut_and_a_new_pod_and_tells_each_line_once(
    door: Door, cluster: Cluster, pod: str
) -> None:
    seen: list[str] = []

    async def follow() -> None:
        async with door.admin.stream("GET", f"{INSTANCES}/1/logs", params={"tail": 1}) as stream:
            async for line in stream.aiter_lines():
                seen.extend([line] if line.startswith("data: ") else [])

    following = asyncio.create_task(follow())
    await eventually(lambda: seen == ["data: three"], lambda: seen)
    await cluster.cut_watches()
    cluster.say(pod, "four")
    await eventually(lambda: seen == ["data: three", "data: four"], lambda: seen)
    await cluster.drop("pods", pod)
    await cluster.until("pods", lambda found: found and pod not in found)
    await door.until_status(1, "running")
    cluster.say((await cluster.names("pods"))[0], "five")
    await eventually(lambda: seen[-1] == "data: five", lambda: seen, within_s=10)
    assert seen == ["data: three", "data: four", "data: five"]
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_a_log_without_a_pod_is_empty(door: Door, pod: str) -> None:
    await door.admin.post(f"{INSTANCES}/1/stop")
    await door.until_status(1, "stopped")
    answer = await door.admin.get(f"{INSTANCES}/1/logs", params={"follow": "false"})
    assert (answer.status_code, answer.text) == (200, "")


async def test_a_log_that_cannot_be_read_is_unavailable(door: Door, cluster: Cluster, pod: str) -> None:
    cluster.is_dead = True
    answer = await door.admin.get(f"{INSTANCES}/1/logs")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "log_unavailable")
    cluster.is_dead = False


async def test_followers_that_leave_leave_nothing_behind(door: Door, cluster: Cluster, pod: str) -> None:
    def tasks() -> Counter[str]:
        names = (getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks())
        return Counter(name for name in names if not name.startswith("RequestHandler.start"))  # idle connections

    before = tasks()

    async def follow_and_leave() -> None:
        async with door.admin.stream("GET", f"{INSTANCES}/1/logs", params={"tail": 1}) as stream:
            assert await anext(stream.aiter_lines()) == "data: three"

    for _ in range(10):
        await asyncio.gather(*(follow_and_leave() for _ in range(10)))
    await eventually(lambda: (tasks() - before).total() <= 10, lambda: tasks() - before, within_s=15)
    assert len(cluster.streams) <= 5
