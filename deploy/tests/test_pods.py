"""The pods of the chart: what they are told and may do, and how they come and go."""

import json
import re
from pathlib import Path

import pytest
import yaml
from chart import (
    CHART,
    MATRIX,
    NAMESPACE,
    SERVICES,
    Object,
    containers,
    is_taken,
    named,
    of_kind,
    part_of,
    pods,
    render,
)

from instance_orchestrator.clients.kubernetes.kinds import POD, SECRET, WATCHED
from shoal.config import load
from shoal.identity import new_key_pair
from shoal.service import installed


@pytest.mark.parametrize("name", sorted(installed()))
def test_services_take_the_environment_that_they_are_given(name: str, tmp_path: Path) -> None:
    service, pod = installed()[name], dict(pods(render()))[f"shoal-{name}"]
    secrets = {
        "database-url": "postgresql://role:secret@db:5432/shoal",
        "nats-url": "nats://user:secret@nats:4222",
        "identity-key": new_key_pair()[0],
        "identity-keys": "{}",
        "encryption-key": "k1:" + "A" * 43 + "=",
    }
    for file, text in secrets.items():
        (tmp_path / file).write_text(text)
    container = pod["spec"]["containers"][0]
    given = {one["name"]: str(one["value"]).replace("/etc/shoal/secrets", str(tmp_path)) for one in container["env"]}
    config = load(service.config, service.prefix, given)
    assert config.host == "0.0.0.0"
    assert json.loads(config.services)[name] == f"shoal-{name}:{service.port}"
    assert container["ports"][0]["containerPort"] == service.port
    mounted = {item["path"] for source in pod["spec"]["volumes"][0]["projected"]["sources"]
               for item in source["secret"]["items"]}  # fmt: skip
    asked = {Path(value).name for key, value in given.items() if key.endswith("_FILE")}
    assert asked == mounted


# what they may do


@pytest.mark.parametrize("label", MATRIX)
def test_every_pod_meets_pod_security_restricted(label: str) -> None:
    for name, pod in pods(render(MATRIX[label])):
        spec = pod["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        permitted = {"configMap", "emptyDir", "projected", "secret", "persistentVolumeClaim"}
        assert all(set(volume) - {"name"} <= permitted for volume in spec.get("volumes", [])), name
        for container in containers(pod):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["readOnlyRootFilesystem"] is True, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert "privileged" not in security
            assert not any("hostPort" in port for port in container.get("ports", [])), name


def test_only_the_orchestrator_may_ask_the_cluster_for_anything() -> None:
    objects = render()
    assert not of_kind(objects, "ClusterRole", "ClusterRoleBinding")
    (role,), (binding,) = of_kind(objects, "Role"), of_kind(objects, "RoleBinding")
    table = {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    everything = {"get", "list", "watch", "create", "patch", "delete"}
    assert table == {
        ("apps", "deployments"): everything,
        ("", "services"): everything,
        ("", "configmaps"): everything,
        ("", "persistentvolumeclaims"): everything,
        ("", "secrets"): {"get", "create", "patch", "delete"},
        ("", "pods"): {"list", "watch"},
        ("", "pods/log"): {"get"},
    }
    assert {role["metadata"]["namespace"], binding["metadata"]["namespace"]} == {"prod-bots"}
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "shoal-instance-orchestrator", "namespace": NAMESPACE}
    ]
    tokens = {name for name, pod in pods(objects) if pod["spec"]["automountServiceAccountToken"]}
    assert tokens == {"shoal-instance-orchestrator"}


def test_the_role_covers_every_kind_that_the_orchestrator_works_with() -> None:
    (role,) = of_kind(render(), "Role")
    for kind in (*WATCHED, SECRET):
        verbs = {
            verb for rule in role["rules"] if kind.plural in rule["resources"] and kind.group in rule["apiGroups"]
            for verb in rule["verbs"]
        }  # fmt: skip
        needed = {"list", "watch"} if kind in WATCHED else {"get"}
        assert needed | ({"get", "create", "patch", "delete"} if kind is not POD else set()) <= verbs, kind


# how they come and go


def seconds(text: str) -> int:
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


@pytest.mark.parametrize("shared", [{}, {"drainDelay": "20s", "drainTimeout": "2m"}])
def test_pods_have_longer_to_end_than_their_drain_takes(shared: Object) -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    told = values["shared"] | shared
    for _, pod in pods(render({"shared": shared})):
        if part_of(pod) in SERVICES:
            pause = pod["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
            drain = seconds(told["drainDelay"]) + seconds(told["drainTimeout"])
            assert pod["spec"]["terminationGracePeriodSeconds"] >= pause + drain + 12, "NATS and traces take a while"


def test_no_pause_is_no_hook() -> None:
    """A sleep of nothing is an error before Kubernetes 1.34."""
    for _, pod in pods(render({"preStop": 0})):
        assert "lifecycle" not in pod["spec"]["containers"][0]


def test_services_are_probed_and_bounded() -> None:
    for _, pod in pods(render()):
        for container in pod["spec"]["containers"]:
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]
        if part_of(pod) in SERVICES:
            main = pod["spec"]["containers"][0]
            assert main["startupProbe"]["httpGet"]["path"] == main["livenessProbe"]["httpGet"]["path"] == "/healthz"
            assert main["readinessProbe"]["httpGet"]["path"] == "/readyz"
            assert [one["topologyKey"] for one in pod["spec"]["topologySpreadConstraints"]] == [
                "topology.kubernetes.io/zone", "kubernetes.io/hostname",
            ]  # fmt: skip


def test_every_service_migrates_first_and_only_that_step_sees_the_administrator() -> None:
    for _, pod in pods(render()):
        if part_of(pod) not in SERVICES:
            continue
        (migrate,), (main,) = pod["spec"]["initContainers"], pod["spec"]["containers"]
        assert migrate["args"][:2] == ["migrate", part_of(pod)]
        assert migrate["image"] == main["image"]
        assert "admin" in {mount["name"] for mount in migrate["volumeMounts"]}
        assert "admin" not in {mount["name"] for mount in main["volumeMounts"]}
        assert not any("SHOAL_DATABASE_URL" in one["name"] for one in main["env"])


def test_images_have_a_version_and_never_the_latest() -> None:
    for values in MATRIX.values():
        for _, pod in pods(render(values)):
            for container in containers(pod):
                version = r"(:[0-9][\w.-]*|@sha256:[0-9a-f]{64})"
                assert re.fullmatch(rf"[a-z0-9./:-]+{version}", container["image"]), container["image"]
                assert not container["image"].endswith(":latest")


def test_what_operators_add_reaches_the_pods() -> None:
    objects = render(MATRIX["everything on"])
    parts = dict(pods(objects))
    assert parts["shoal-pairing"]["spec"]["containers"][0]["image"].endswith(f"shoal-pairing@sha256:{'a' * 64}")
    runtime = parts["shoal-agent-runtime"]["spec"]
    env = {one["name"]: one for one in runtime["containers"][0]["env"]}
    assert env["AGENT_RUNTIME_X"]["valueFrom"] == {"secretKeyRef": {"name": "x", "key": "y"}}
    assert env["AGENT_RUNTIME_Y"]["value"] == "5"
    mounts = {one["name"]: one["mountPath"] for one in runtime["containers"][0]["volumeMounts"]}
    assert (mounts["workspaces"], mounts["ca"]) == ("/tmp/shoal/workspaces", "/etc/ca")
    assert runtime["affinity"] == {"nodeAffinity": {}}
    assert named(objects, "Service", "shoal-gateway")["metadata"]["annotations"] == {"a": "b"}


def test_whoever_speaks_with_servers_of_ones_own_trusts_who_signed_for_them() -> None:
    told = {"SHOAL_NATS_CA": "/etc/shoal/authorities/nats.crt", "PGSSLROOTCERT": "/etc/shoal/authorities/postgres.crt"}
    sources = [
        {"configMap": {"name": "roots", "items": [{"key": "nats.pem", "path": "nats.crt"}]}},
        {"secret": {"name": "db-ca", "items": [{"key": "ca.crt", "path": "postgres.crt"}]}},
    ]
    everybody = dict(pods(render(MATRIX["servers of one's own"])))
    assert {part_of(pod) for pod in everybody.values()} == {*SERVICES, "readers", "backup"}
    for name, pod in everybody.items():
        volumes = {one["name"]: one for one in pod["spec"]["volumes"]}
        assert volumes["authorities"]["projected"]["sources"] == sources, name
        for container in containers(pod):
            assert {one["name"]: one.get("value") for one in container["env"]}.items() >= told.items(), name
            mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
            assert mounts["authorities"] == "/etc/shoal/authorities", name


def test_without_an_authority_nothing_is_mounted_and_two_are_refused() -> None:
    named = {"existing": {"authority": {"secret": "ca"}}}
    for values in ({}, {"nats": named, "postgres": named}, {"nats": {"bundled": False, "existing": {"host": "nats"}}}):
        assert "authorities" not in json.dumps(render(values)), "bundled servers speak in the clear"
    both = {"bundled": False, "existing": {"host": "nats", "authority": {"secret": "ca", "configMap": "ca"}}}
    assert not is_taken({"nats": both})


def test_pods_start_anew_when_a_server_moves() -> None:
    moved = {"postgres": {"bundled": False, "existing": {"host": "db.example"}}}
    for name, pod in dict(pods(render(moved))).items():
        if part_of(pod) in SERVICES:
            assert "db.example:5432" in pod["metadata"]["annotations"]["shoal/servers"], name


def test_ssh_manager_is_never_there_twice() -> None:
    objects = render({"ssh-manager": {"replicas": 3}})
    spec = named(objects, "Deployment", "shoal-ssh-manager")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert "shoal-ssh-manager" not in {one["metadata"]["name"] for one in of_kind(objects, "PodDisruptionBudget")}


def test_services_that_rest_have_no_pods_and_the_servers_go_on() -> None:
    objects = render({**MATRIX["everything on"], "stopped": True})
    assert {one["spec"]["replicas"] for one in of_kind(objects, "Deployment")} == {0}
    assert {one["spec"]["replicas"] for one in of_kind(objects, "StatefulSet")} == {1}
    assert not of_kind(objects, "HorizontalPodAutoscaler", "PodDisruptionBudget", "Job")
    assert {one["spec"]["suspend"] for one in of_kind(objects, "CronJob")} == {True}


def test_autoscaled_services_leave_their_number_to_the_autoscaler() -> None:
    objects = render(MATRIX["everything on"])
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in of_kind(objects, "HorizontalPodAutoscaler")}
    assert scaled == {"shoal-gateway", "shoal-telemetry-ingest", "shoal-metrics-query"}
    for name in scaled:
        assert "replicas" not in named(objects, "Deployment", name)["spec"]
        assert named(objects, "PodDisruptionBudget", name)["spec"]["maxUnavailable"] == 1
