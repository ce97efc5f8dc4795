"""What the cluster does to us, and what somebody does to the cluster."""

import asyncio

import pytest
from api_relay import Cluster
from orchestrator_door import INSTANCES, Door, Open

from instance_orchestrator.clients.kubernetes import reflector
from shoal.testing.suite import eventually
from shoal_events import InstanceCreated, InstanceRunning

OBJECTS = {
    "persistentvolumeclaims": 4,
    "secrets": 2,
    "configmaps": 1,
    "deployments": 1,
    "services": 2,
}


async def count(cluster: Cluster) -> dict[str, int]:
    return {kind: len(await cluster.names(kind)) for kind in OBJECTS}


@pytest.mark.parametrize(
    ("plural", "status"),
    [("persistentvolumeclaims", 409), ("deployments", 429), ("services", 500), ("secrets", 503)],
)
async def test_answers_that_pass_are_waited_out(door: Door, cluster: Cluster, plural: str, status: int) -> None:
    cluster.fail("PATCH", plural, status, times=2)
    await door.create()
    await door.until_status(1, "running")
    assert await count(cluster) == OBJECTS


async def test_a_quota_is_told_and_tried_again(door: Door, cluster: Cluster) -> None:
    words = 'persistentvolumeclaims "bot-alpha-clawdbot" is forbidden: exceeded quota'
    cluster.fail("PATCH", "persistentvolumeclaims", 403, words, times=3)
    await door.create()
    assert (await door.until_status(1, "error"))["status_message"] == words
    shown = await door.until_status(1, "running")
    assert shown["status_message"] == ""


async def test_node_ports_of_somebody_else_are_given_up_for_others(door: Door, cluster: Cluster) -> None:
    ports = [{"name": "x", "port": 80, "nodePort": 30101}]
    spec = {"type": "NodePort", "ports": ports}
    await cluster.put("services", {"metadata": {"name": "theirs", "labels": {}}, "spec": spec})
    assert (await door.create())["nodeport_chrome"] == 30100
    shown = await door.until_status(1, "running")
    assert (shown["nodeport_chrome"], shown["nodeport_terminal"]) == (30102, 30103)
    (external,) = await door.sql("select chrome_port from port_pair where instance_id is null")
    assert external["chrome_port"] == 30100


@pytest.mark.parametrize(
    ("plural", "name"),
    [("services", "bot-alpha-vnc"), ("configmaps", "bot-alpha-config"), ("secrets", "bot-alpha-keys"),
     ("deployments", "bot-alpha")],
)  # fmt: skip
async def test_an_object_that_somebody_deletes_is_made_again(
    door: Door, cluster: Cluster, plural: str, name: str
) -> None:
    await door.create()
    await door.until_status(1, "running")
    before = (await cluster.get(plural, name))["metadata"]["uid"]
    await cluster.drop(plural, name)
    await cluster.until(plural, lambda found: found[name]["metadata"]["uid"] != before, within_s=10)
    assert await count(cluster) == OBJECTS


async def test_an_object_that_somebody_edits_is_mended_and_what_is_not_ours_is_left(
    door: Door, cluster: Cluster
) -> None:
    await door.create()
    await door.until_status(1, "running")
    await cluster.edit("deployments", "bot-alpha", lambda one: one["spec"].update(replicas=0))
    await cluster.until("deployments", lambda found: found["bot-alpha"]["spec"]["replicas"] == 1)
    theirs = {"clawdbot.json": "mine", "x": "y"}
    await cluster.edit("configmaps", "bot-alpha-config", lambda one: one["data"].update(theirs))
    await cluster.until("configmaps", lambda found: found["bot-alpha-config"]["data"]["clawdbot.json"] != "mine")
    assert (await cluster.get("configmaps", "bot-alpha-config"))["data"]["x"] == "y"
    await cluster.edit("services", "bot-alpha-vnc", lambda one: one["metadata"]["labels"].clear())
    await cluster.until("services", lambda found: found["bot-alpha-vnc"]["metadata"]["labels"]["app"] == "bot-alpha")
    written = len(cluster.writes)
    await asyncio.sleep(1.5)
    assert len(cluster.writes) == written


async def test_a_change_is_seen_after_410_and_after_a_cut(
    open_door: Open, settings: dict[str, str], cluster: Cluster
) -> None:
    door = await open_door(**settings | {"INSTANCE_ORCHESTRATOR_RESYNC": "300s"})  # hints alone
    await door.create()
    await door.until_status(1, "running")
    for disturb in (cluster.forget_history, cluster.cut_watches):
        (before,) = await cluster.pods()
        cluster.node.stop_s = 1
        await disturb()
        await cluster.drop("pods", before["metadata"]["name"])
        await door.until_status(1, "creating", within_s=10)
        await door.until_status(1, "running", within_s=10)
        assert (await cluster.pods())[0]["metadata"]["uid"] != before["metadata"]["uid"]


async def test_a_watch_that_freezes_is_given_up(
    open_door: Open, settings: dict[str, str], cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector, "WATCH_S", 1)  # 15: with it the bar of 30 s holds
    door = await open_door(**settings | {"INSTANCE_ORCHESTRATOR_RESYNC": "300s"})
    await door.create()
    await door.until_status(1, "running")
    cluster.is_frozen = True
    await cluster.edit("services", "bot-alpha-vnc", lambda one: one["spec"].update(type="ClusterIP"))
    await cluster.until("services", lambda found: found["bot-alpha-vnc"]["spec"]["type"] == "NodePort", within_s=15)


async def test_two_replicas_do_the_work_of_one(open_door: Open, settings: dict[str, str], cluster: Cluster) -> None:
    first = await open_door(**settings)
    second = await first.suite.start("instance-orchestrator", INSTANCE_ORCHESTRATOR_PORT="0", **first.settings)
    await Door(first.suite, second, first.settings).create()
    await first.until_status(1, "running")
    assert len(cluster.writes) == sum(OBJECTS.values())
    assert len(await first.suite.events(InstanceCreated)) == 1
    assert len(await first.suite.events(InstanceRunning)) == 1


# crashes: the orchestrator is gone after its n-th write, and another one goes on

PATIENCE_S, CRASH_S = 60, 180
"""For one part of a test of a crash, and for all of it: what is late on a busy machine is not wrong."""


async def crash(door: Door, cluster: Cluster) -> Door:
    """Wait until the cluster saw the last write, end the orchestrator, and start another."""
    await eventually(lambda: cluster.is_dead, lambda: cluster.writes, within_s=PATIENCE_S)
    await door.suite.stop(door.service)
    cluster.is_dead = False
    return Door(door.suite, await door.suite.start("instance-orchestrator", **door.settings), door.settings)


@pytest.mark.fault
@pytest.mark.timeout(CRASH_S)
@pytest.mark.parametrize("after", range(1, 11))
async def test_a_crash_while_creating_converges(door: Door, cluster: Cluster, after: int) -> None:
    cluster.dies_after = after
    await door.create()
    again = await crash(door, cluster)
    await again.until_status(1, "running", within_s=PATIENCE_S)
    assert await count(cluster) == OBJECTS
    assert len(await again.sql("select from port_pair")) == 1
    assert len(cluster.writes) == sum(OBJECTS.values())


@pytest.mark.fault
@pytest.mark.timeout(CRASH_S)
@pytest.mark.parametrize("after", [1, 2, 4, 7, 9, 10])
async def test_a_crash_while_deleting_converges(door: Door, cluster: Cluster, after: int) -> None:
    await door.create()
    await door.until_status(1, "running")
    cluster.dies_after = after
    await door.admin.delete(f"{INSTANCES}/1")
    again = await crash(door, cluster)

    async def is_free() -> bool:
        return not await again.sql("select from port_pair") and not await cluster.objects()

    await eventually(is_free, within_s=PATIENCE_S)


@pytest.mark.fault
@pytest.mark.timeout(CRASH_S)
@pytest.mark.parametrize("after", [1, 2, 3])
async def test_a_crash_while_updating_converges(door: Door, cluster: Cluster, after: int) -> None:
    await door.create()
    await door.until_status(1, "running")
    written = len(cluster.writes)
    cluster.dies_after = after
    change = {"openai_api_key": "sk-new", "storage_clawd": "9Gi", "cpu_limit": "3"}
    await door.admin.put(f"{INSTANCES}/1", json=change)
    again = await crash(door, cluster)
    await eventually(lambda: len(cluster.writes) == written + 3, lambda: cluster.writes, within_s=PATIENCE_S)
    await again.until_status(1, "running", within_s=PATIENCE_S)
    assert (await cluster.get("deployments", "bot-alpha"))["metadata"]["generation"] == 2
    assert await count(cluster) == OBJECTS


@pytest.mark.timeout(CRASH_S)
async def test_a_crash_while_a_key_spreads_converges(door: Door, cluster: Cluster) -> None:
    for number in range(5):
        own = {"anthropic_api_key": "sk-own"} if number == 2 else {}
        await door.create(f"Bot {number}", **own)
    for number in range(5):
        await door.until_status(number + 1, "running")
    cluster.dies_after = 3
    await door.admin.put("/api/v1/settings", json={"anthropic_api_key": "sk-shared"})
    again = await crash(door, cluster)

    def have_spread(found: dict) -> bool:
        return [found[f"bot-{number}"]["metadata"]["generation"] for number in range(5)] == [2, 2, 1, 2, 2]

    await cluster.until("deployments", have_spread, within_s=PATIENCE_S)
    for number in range(5):
        await again.until_status(number + 1, "running", within_s=PATIENCE_S)
