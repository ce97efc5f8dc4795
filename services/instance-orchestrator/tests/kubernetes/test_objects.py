"""What stands in the cluster for an instance, and how it gets there."""

import asyncio
import base64
import json

from api_relay import Cluster
from orchestrator_door import INSTANCES, Door, Open, refused

from shoal.testing.suite import eventually
from shoal_events import InstanceRunning, InstanceSshKeyApplied, InstanceStopped, SshKeyCreated

VOLUMES = ["bot-alpha-chrome", "bot-alpha-clawd", "bot-alpha-clawdbot", "bot-alpha-homebrew"]
KINDS = ("persistentvolumeclaims", "secrets", "configmaps", "deployments", "services")


async def names(cluster: Cluster) -> dict[str, list[str]]:
    return {kind: await cluster.names(kind) for kind in KINDS}


def opened(secret: dict) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


async def secret(cluster: Cluster, name: str) -> dict[str, str]:
    return opened(await cluster.get("secrets", name))


async def pod(cluster: Cluster) -> dict:
    return (await cluster.get("deployments", "bot-alpha"))["spec"]["template"]


async def volumes(cluster: Cluster) -> list[str]:
    """Tell which volumes an instance has, whatever their names."""
    return [(await cluster.get("persistentvolumeclaims", name))["metadata"]["uid"] for name in VOLUMES]


def has_grown(found: dict) -> bool:
    return found["bot-alpha-clawd"]["spec"]["resources"]["requests"]["storage"] == "8Gi"


async def test_an_instance_is_the_contracts_set_of_objects(door: Door, cluster: Cluster) -> None:
    await door.create(anthropic_api_key="sk-ant-own", storage_chrome="6Gi")
    await door.until_status(1, "running")
    assert await names(cluster) == {
        "persistentvolumeclaims": VOLUMES,
        "secrets": ["bot-alpha-keys", "bot-alpha-ssh"],
        "configmaps": ["bot-alpha-config"],
        "deployments": ["bot-alpha"],
        "services": ["bot-alpha-ssh", "bot-alpha-vnc"],
    }
    deployment = (await cluster.get("deployments", "bot-alpha"))["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    assert deployment["selector"] == {"matchLabels": {"app": "bot-alpha"}}
    screens = (await cluster.get("services", "bot-alpha-vnc"))["spec"]
    assert (screens["type"], [port["nodePort"] for port in screens["ports"]]) == ("NodePort", [30100, 30101])
    assert (await cluster.get("services", "bot-alpha-ssh"))["spec"]["ports"][0]["port"] == 22
    chrome = (await cluster.get("persistentvolumeclaims", "bot-alpha-chrome"))["spec"]
    assert (chrome["resources"]["requests"]["storage"], chrome["accessModes"]) == ("6Gi", ["ReadWriteOnce"])
    assert await secret(cluster, "bot-alpha-keys") == {"ANTHROPIC_API_KEY": "sk-ant-own"}
    told = json.loads((await cluster.get("configmaps", "bot-alpha-config"))["data"]["settings.json"])
    assert (told["agent_id"], told["is_measured_alone"], told["own_cgroup"]) == ("instance_1", True, "/sys/fs/cgroup")
    mounts = {mount["mountPath"] for mount in (await pod(cluster))["spec"]["containers"][0]["volumeMounts"]}
    assert mounts >= {
        *("/root/.clawdbot", "/home/linuxbrew/.linuxbrew", "/root/clawd", "/root/.config/google-chrome"),
        *("/etc/clawdbot/clawdbot.json", "/dev/shm"),
    }
    (event,) = await door.suite.events(InstanceRunning)
    assert (event.ssh_host, event.ssh_port, event.ssh_user) == (f"bot-alpha-ssh.{cluster.namespace}.svc", 22, "shoal")


async def test_the_pod_is_hardened_by_default(door: Door, cluster: Cluster) -> None:
    await door.create()
    await door.until_status(1, "running")
    spec = (await pod(cluster))["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert spec["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not any("hostPath" in volume for volume in spec["volumes"])


async def test_values_relax_what_an_image_cannot_do_without(
    open_door: Open, settings: dict[str, str], cluster: Cluster
) -> None:
    relaxed = {
        "INSTANCE_ORCHESTRATOR_RUN_AS_USER": "0",
        "INSTANCE_ORCHESTRATOR_IS_PRIVILEGED": "true",
        "INSTANCE_ORCHESTRATOR_IMAGE_PULL_SECRET": "registry",
        "INSTANCE_ORCHESTRATOR_STORAGE_CLASS": "fast",
        "SHOAL_INSTANCE_IMAGE": "example/moltbot:1",
    }
    door = await open_door(**settings | relaxed)
    await door.create()
    await door.until_status(1, "running")
    spec = (await pod(cluster))["spec"]
    assert spec["containers"][0]["securityContext"] == {"privileged": True}
    assert "runAsNonRoot" not in spec["securityContext"]
    assert (spec["containers"][0]["image"], spec["imagePullSecrets"]) == ("example/moltbot:1", [{"name": "registry"}])
    assert (await cluster.get("persistentvolumeclaims", VOLUMES[0]))["spec"]["storageClassName"] == "fast"


async def test_the_config_reaches_the_pod_byte_for_byte_and_restarts_it_once(door: Door, cluster: Cluster) -> None:
    await door.create()
    await door.until_status(1, "running")
    config = '{ "key": "${ANTHROPIC_API_KEY}",\r\n "x": "ä" }\n'
    (before,) = await cluster.names("pods")
    await door.admin.put(f"{INSTANCES}/1/config", json={"config": config})
    await cluster.until("configmaps", lambda found: found["bot-alpha-config"]["data"]["clawdbot.json"] == config)
    await cluster.until("pods", lambda found: found and before not in found, within_s=20)
    await door.until_status(1, "running")
    assert len(await door.suite.events(InstanceRunning, count=2)) == 2
    assert sum(write[1:] == ("deployments", "bot-alpha") for write in cluster.writes) == 2


async def test_a_new_key_of_the_account_restarts_those_without_their_own(door: Door, cluster: Cluster) -> None:
    await door.create("Own", anthropic_api_key="sk-own")
    await door.create("Shared")
    for instance_id in (1, 2):
        await door.until_status(instance_id, "running")
    own = (await cluster.get("deployments", "bot-own"))["metadata"]["generation"]
    await door.admin.put("/api/v1/settings", json={"anthropic_api_key": "sk-shared"})
    shared = {"ANTHROPIC_API_KEY": "sk-shared"}
    await cluster.until("secrets", lambda found: opened(found["bot-shared-keys"]) == shared)
    await cluster.until("deployments", lambda found: found["bot-shared"]["metadata"]["generation"] == 2)
    await door.until_status(2, "running")
    assert await secret(cluster, "bot-own-keys") == {"ANTHROPIC_API_KEY": "sk-own"}
    assert (await cluster.get("deployments", "bot-own"))["metadata"]["generation"] == own


async def test_a_key_that_is_taken_away_leaves_the_secret_and_the_last_one_too(door: Door, cluster: Cluster) -> None:
    await door.create(anthropic_api_key="sk-ant-own", openai_api_key="sk-too")
    await door.until_status(1, "running")
    await door.admin.put(f"{INSTANCES}/1", json={"openai_api_key": ""})
    await cluster.until("deployments", lambda found: found["bot-alpha"]["metadata"]["generation"] == 2)
    assert await secret(cluster, "bot-alpha-keys") == {"ANTHROPIC_API_KEY": "sk-ant-own"}
    await door.admin.put(f"{INSTANCES}/1", json={"anthropic_api_key": ""})
    await cluster.until("secrets", lambda found: "data" not in found["bot-alpha-keys"])
    await cluster.until("deployments", lambda found: found["bot-alpha"]["metadata"]["generation"] == 3)
    written = len(cluster.writes)
    await asyncio.sleep(1.5)
    assert len(cluster.writes) == written


async def test_an_ssh_key_is_mounted_without_a_restart(door: Door, cluster: Cluster) -> None:
    await door.create()
    await door.until_status(1, "running")
    line = f"ssh-ed25519 {'A' * 68} ssh-manager"
    told = SshKeyCreated(instance_id="1", account_id="acct_1", public_key=line, fingerprint="SHA256:x", version=1)
    await door.suite.publish(told, event_id="00000000-0000-4000-8000-000000000001")
    await door.suite.events(InstanceSshKeyApplied)
    files = await secret(cluster, "bot-alpha-ssh")
    assert files["authorized_keys"] == f"{line}\n"
    assert files["host_key"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert (await cluster.get("deployments", "bot-alpha"))["metadata"]["generation"] == 1


async def test_stop_scales_to_zero_and_keeps_volumes_and_start_brings_it_back(door: Door, cluster: Cluster) -> None:
    await door.create()
    await door.until_status(1, "running")
    before = await volumes(cluster)
    await door.admin.post(f"{INSTANCES}/1/stop")
    await door.until_status(1, "stopped")
    assert (await cluster.get("deployments", "bot-alpha"))["spec"]["replicas"] == 0
    assert await cluster.pods() == []
    await door.admin.post(f"{INSTANCES}/1/start")
    await door.until_status(1, "running")
    assert await volumes(cluster) == before
    (stopped,) = await door.suite.events(InstanceStopped)
    assert stopped.reason == "asked"


async def test_a_restart_replaces_the_pod_once(door: Door, cluster: Cluster) -> None:
    await door.create()
    await door.until_status(1, "running")
    await door.admin.post(f"{INSTANCES}/1/restart")
    await cluster.until("deployments", lambda found: found["bot-alpha"]["metadata"]["generation"] == 2)
    await door.until_status(1, "running")
    assert (await pod(cluster))["metadata"]["annotations"]["shoal/restarts"] == "1"


async def test_a_volume_grows_and_nothing_else_of_it_changes(door: Door, cluster: Cluster) -> None:
    await door.create()
    await door.until_status(1, "running")
    await door.admin.put(f"{INSTANCES}/1", json={"storage_clawd": "8Gi"})
    before = await volumes(cluster)

    await cluster.until("persistentvolumeclaims", has_grown)
    assert await volumes(cluster) == before


async def test_a_volume_that_is_not_bound_yet_holds_nothing_up_and_grows_when_it_is(
    door: Door, cluster: Cluster
) -> None:
    cluster.node.is_binding = False
    await door.create()
    await cluster.until("persistentvolumeclaims", lambda found: len(found) == len(VOLUMES))
    await door.admin.put(f"{INSTANCES}/1", json={"storage_clawd": "8Gi"})
    await door.until_status(1, "running")
    cluster.node.is_binding = True
    await cluster.until("persistentvolumeclaims", has_grown)


async def test_a_volume_keeps_its_class_when_the_setting_goes_and_grows_all_the_same(
    open_door: Open, settings: dict[str, str], cluster: Cluster
) -> None:
    door = await open_door(**settings | {"INSTANCE_ORCHESTRATOR_STORAGE_CLASS": "played"})
    await door.create()
    await door.until_status(1, "running")
    await door.suite.stop(door.service)
    again = Door(door.suite, await door.suite.start("instance-orchestrator", **settings), settings)
    await again.until_status(1, "running")
    await again.admin.put(f"{INSTANCES}/1", json={"storage_clawd": "8Gi"})

    await cluster.until("persistentvolumeclaims", has_grown)
    assert (await cluster.get("persistentvolumeclaims", "bot-alpha-clawd"))["spec"]["storageClassName"] == "played"
    assert (await again.until_status(1, "running"))["status_message"] == ""


async def test_where_all_is_as_planned_nothing_is_written(
    door: Door, settings: dict[str, str], cluster: Cluster
) -> None:
    await door.create(cpu_limit="2000m", memory_limit="4096Mi")
    await door.until_status(1, "running")
    await eventually(lambda: asyncio.sleep(0.2, True))
    written, asked = len(cluster.writes), cluster.calls
    await door.suite.stop(door.service)
    again = Door(door.suite, await door.suite.start("instance-orchestrator", **door.settings), door.settings)
    await again.until_status(1, "running")
    await asyncio.sleep(2.5)  # two rounds of resync
    assert len(cluster.writes) == written
    rounds = 3 * (2 * 11 + 10)
    assert cluster.calls - asked <= rounds + 40


async def test_delete_takes_everything_and_then_gives_the_ports_back(door: Door, cluster: Cluster) -> None:
    await door.create()
    await door.until_status(1, "running")
    assert (await door.admin.delete(f"{INSTANCES}/1")).status_code == 204

    async def is_free() -> bool:
        return not await door.sql("select from port_pair") and not await cluster.objects()

    await eventually(is_free, within_s=15)


async def test_a_new_instance_never_binds_the_dying_volumes_of_its_name(door: Door, cluster: Cluster) -> None:
    await door.create()
    await door.until_status(1, "running")
    old = await volumes(cluster)
    await cluster.hold("persistentvolumeclaims")
    await door.admin.delete(f"{INSTANCES}/1")
    again = await door.create()
    assert (again["id"], again["name"], again["status"]) == (2, "bot-alpha", "creating")
    for plural in ("pods", "deployments"):
        await cluster.until(plural, lambda found: not found, within_s=10)
    await asyncio.sleep(0.5)
    assert await cluster.names("deployments") == []
    await cluster.let_go("persistentvolumeclaims")
    await door.until_status(2, "running", within_s=30)
    assert not {*old} & {*await volumes(cluster)}


async def test_what_belongs_to_no_instance_is_swept_away(
    open_door: Open, settings: dict[str, str], cluster: Cluster
) -> None:
    lost = {"app": "bot-lost", "app.kubernetes.io/managed-by": "shoal", "shoal/instance-id": "99"}
    for name, labels in {
        "bot-lost-config": {**lost, "shoal/installation": "shoal"},
        "bot-theirs-config": {**lost, "app": "bot-theirs", "shoal/installation": "theirs"},
        "from-before": lost,
        "somebody-elses": {},
    }.items():
        await cluster.put("configmaps", {"metadata": {"name": name, "labels": labels}, "data": {}})
    await open_door(**settings, INSTANCE_ORCHESTRATOR_ORPHAN_GRACE="0s")
    left = {"bot-theirs-config", "from-before", "somebody-elses"}
    await cluster.until("configmaps", lambda found: set(found) == left, within_s=10)


async def test_two_installations_in_one_namespace_leave_each_other_alone(
    open_door: Open, settings: dict[str, str], cluster: Cluster
) -> None:
    swift = {**settings, "INSTANCE_ORCHESTRATOR_ORPHAN_GRACE": "0s"}
    first = await open_door(**swift, INSTANCE_ORCHESTRATOR_INSTALLATION="first")
    await first.create()
    await first.until_status(1, "running")
    before = await cluster.objects()
    await first.suite.stop(first.service)
    # another installation: its rows know of another instance by the same number
    await first.sql("update instance set name = 'bot-beta', display_name = 'Bot Beta', version = version + 1")
    second = await open_door(**swift, INSTANCE_ORCHESTRATOR_INSTALLATION="second")
    await cluster.until("deployments", lambda found: set(found) == {"bot-alpha", "bot-beta"}, within_s=10)
    await second.create()
    shown = await second.until_status(2, "error")
    assert "exists and is not ours" in shown["status_message"]
    for instance_id in (1, 2):
        await second.admin.delete(f"{INSTANCES}/{instance_id}")

    async def is_theirs_alone() -> bool:
        return await cluster.objects() == before

    await eventually(is_theirs_alone, within_s=20)


async def test_objects_of_a_version_that_named_no_installation_are_taken_over(
    open_door: Open, settings: dict[str, str], cluster: Cluster
) -> None:
    door = await open_door(**settings)
    await door.create()
    await door.until_status(1, "running")
    kept = await volumes(cluster)
    await door.suite.stop(door.service)
    for kind in KINDS:
        for name in await cluster.names(kind):
            await cluster.edit(kind, name, lambda one: one["metadata"]["labels"].pop("shoal/installation"))
    again = Door(door.suite, await door.suite.start("instance-orchestrator", **settings), settings)
    for kind in KINDS:
        await cluster.until(
            kind, lambda found: all("shoal/installation" in one["metadata"]["labels"] for one in found.values())
        )
    await again.until_status(1, "running")
    assert await volumes(cluster) == kept


async def test_an_object_of_somebody_else_is_not_taken_over(door: Door, cluster: Cluster) -> None:
    await cluster.put("configmaps", {"metadata": {"name": "bot-alpha-config", "labels": {}}, "data": {"precious": "x"}})
    await door.create()
    shown = await door.until_status(1, "error")
    assert shown["status_message"] == "ConfigMap bot-alpha-config exists and is not ours"
    assert (await cluster.get("configmaps", "bot-alpha-config"))["data"] == {"precious": "x"}


async def test_create_answers_while_the_cluster_is_away(door: Door, cluster: Cluster) -> None:
    cluster.is_dead = True
    assert (await door.create())["status"] == "creating"
    cluster.is_dead = False
    await door.until_status(1, "running", within_s=15)


async def test_readiness_tells_of_the_cluster(door: Door, cluster: Cluster) -> None:
    async def told() -> dict:
        return json.loads((await door.admin.get("/readyz")).text)["details"]

    async def is_said(word: str) -> bool:
        return (await told()) == {"orchestrator_backend": "kubernetes", "kubernetes": word}

    await eventually(lambda: is_said("connected"))
    cluster.is_dead = True
    await cluster.cut_watches()
    await eventually(lambda: is_said("disconnected"))
    refused(await door.admin.get(f"{INSTANCES}/9"), 404)
