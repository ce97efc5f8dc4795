"""Logs of pods."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from api_relay import Cluster
from orchestrator_door import INSTANCES, Door, refused

from shoal.testing.suite import eventually

CREATING = {"name": "moltbot", "state": {"waiting": {"reason": "ContainerCreating"}}}


@contextlib.asynccontextmanager
async def followed(door: Door, tail: int = 100) -> AsyncIterator[list[str]]:
    """Follow the log of the first instance; gives the frames that came so far."""
    seen: list[str] = []
    answered = asyncio.Event()

    async def follow() -> None:
        async with door.admin.stream("GET", f"{INSTANCES}/1/logs", params={"tail": tail}) as stream:
            assert stream.status_code == 200, await stream.aread()
            answered.set()
            async for line in stream.aiter_lines():
                seen.extend([line] if line.startswith("data: ") else [])

    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(follow())
        async with asyncio.timeout(5):
            await answered.wait()
        yield seen
        following.cancel()


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
    async with followed(door, tail=1) as seen:
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


async def test_a_log_without_a_pod_is_empty(door: Door, pod: str) -> None:
    await door.admin.post(f"{INSTANCES}/1/stop")
    await door.until_status(1, "stopped")
    answer = await door.admin.get(f"{INSTANCES}/1/logs", params={"follow": "false"})
    assert (answer.status_code, answer.text) == (200, "")


async def test_who_follows_an_instance_that_is_being_made_waits_for_its_pod(door: Door, cluster: Cluster) -> None:
    cluster.node.start_s = 60
    await door.create()
    async with followed(door) as seen:
        await cluster.until("pods", len)
        (pod,) = await cluster.names("pods")
        cluster.say(pod, "one")
        cluster.node.start_s = 0
        await eventually(lambda: seen == ["data: one"], lambda: seen)


async def tell_containers(cluster: Cluster, pod: str, *told: dict[str, Any]) -> None:
    status = {"containerStatuses": list(told)}
    await cluster.edit("pods", pod, lambda one: one["status"].update(status), part="/status")


async def test_a_container_that_has_not_started_has_no_lines_yet(door: Door, cluster: Cluster, pod: str) -> None:
    await tell_containers(cluster, pod, CREATING)
    answer = await door.admin.get(f"{INSTANCES}/1/logs", params={"follow": "false"})
    assert (answer.status_code, answer.text) == (200, "")
    async with followed(door) as seen:
        await tell_containers(cluster, pod)
        await eventually(lambda: seen == ["data: one", "data: two", "data: three"], lambda: seen)


async def test_a_pod_that_went_while_its_log_was_asked_for_is_no_error(door: Door, cluster: Cluster, pod: str) -> None:
    cluster.fail("GET", "pods/log", 404, f'pods "{pod}" not found', times=2)
    answer = await door.admin.get(f"{INSTANCES}/1/logs", params={"follow": "false"})
    assert (answer.status_code, answer.text) == (200, "")
    async with followed(door) as seen:
        await eventually(lambda: seen == ["data: one", "data: two", "data: three"], lambda: seen)


async def test_who_follows_a_log_that_says_nothing_is_answered_at_once(door: Door, cluster: Cluster, pod: str) -> None:
    async with followed(door, tail=0) as seen:
        cluster.say(pod, "four")
        await eventually(lambda: seen == ["data: four"], lambda: seen)


async def test_whatever_the_api_refuses_the_log_is_unavailable(door: Door, cluster: Cluster, pod: str) -> None:
    for status in (401, 403, 409, 410, 422, 429, 500, 503):
        cluster.fail("GET", "pods/log", status)
        refused(await door.admin.get(f"{INSTANCES}/1/logs"), 503, "log_unavailable")
    cluster.fail("GET", "pods", 403, times=100)  # of which the reconciler and its watches take some
    refused(await door.admin.get(f"{INSTANCES}/1/logs"), 503, "log_unavailable")


async def test_who_follows_already_waits_out_what_the_api_refuses(door: Door, cluster: Cluster, pod: str) -> None:
    async with followed(door, tail=1) as seen:
        await eventually(lambda: seen == ["data: three"], lambda: seen)
        for status in (403, 410, 500):
            cluster.fail("GET", "pods/log", status)
        await cluster.cut_watches()
        cluster.say(pod, "four")
        await eventually(lambda: seen == ["data: three", "data: four"], lambda: seen, within_s=10)


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
    await eventually(lambda: len(cluster.streams) <= 5, lambda: len(cluster.streams))  # the other ends of connections
