"""The chart: valid for every Kubernetes we name, strict about values, and no wider than it has to be."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest
import render as rendering
import yaml
from chart import (
    CHART,
    MATRIX,
    NAMESPACE,
    Object,
    containers,
    named,
    of_kind,
    part_of,
    pods,
    render,
)
from schemas import problems

from instance_orchestrator.clients.kubernetes.kinds import POD, SECRET, WATCHED
from shoal.config import load
from shoal.identity import new_key_pair
from shoal.service import installed

OPERATORS = {"monitoring.coreos.com/v1"}
"""Kinds that Kubernetes itself does not know."""
VERSIONS = [f"1.{minor}" for minor in range(30, 38)]
OURS = ("gateway", "pairing", "telemetry-ingest", "metrics-query", "agent-runtime", "instance-orchestrator",
        "ssh-manager")  # fmt: skip


def test_rendered_files_are_what_the_code_says() -> None:
    stale = [name for name, text in rendering.render() if rendering._path(name).read_text() != text]
    assert not stale, "run: python deploy/render.py"


def test_helm_finds_nothing_to_complain_about() -> None:
    found = helm.lint(str(CHART))
    assert not found["errors"], found
    assert not [one for one in found["messages"] if "WARNING" in str(one) or "ERROR" in str(one)], found


def distinct() -> Iterator[tuple[str, Object]]:
    """Yield every object that differs from all others but for what is drawn by lot."""
    seen = set()
    for label, values in MATRIX.items():
        for one in render(values):
            content = {**one, "data": sorted(one.get("data", {}))} if one["kind"] == "Secret" else one
            written = json.dumps(content, sort_keys=True)
            if written not in seen:
                seen.add(written)
                yield label, one


def test_every_object_is_valid_for_every_version() -> None:
    objects = [one for _, one in distinct() if one["apiVersion"] not in OPERATORS]
    assert len(objects) > 100
    assert not [problem for version in VERSIONS for one in objects for problem in problems(one, version)]


def test_an_object_that_is_wrong_is_found() -> None:
    wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"prots": []}}
    assert list(problems(wrong, "1.37"))


@pytest.mark.parametrize("label", MATRIX)
def test_no_name_is_used_twice(label: str) -> None:
    keys = [
        (one["kind"], one["metadata"].get("namespace", NAMESPACE), one["metadata"]["name"])
        for one in render(MATRIX[label])
    ]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    "values",
    [
        {"gatway": {}},
        {"gateway": {"config": {"sessionTTL": "1h"}}},
        {"gateway": {"config": {"sessionTtl": 3600}}},
        {"gateway": {"config": {"rateLimit": "many"}}},
        {"gateway": {"replicas": 0}},
        {"shared": {"publicUrl": "shoal.example"}},
        {"shared": {"drainTimeout": "1h30m"}},
        {"image": {"pullPolicy": "Sometimes"}},
        {"ingress": {"enabled": True}},
        {"ingress": {"enabled": True, "host": "shoal.example"}},
        {"image": {"digests": {"gateway": "latest"}}},
        {"pairing": {"extraEnv": {"lower": "x"}}},
        {"pairing": {"extraEnv": {"SHOAL_LOG_LEVEL": "debug"}}},
        {"pairing": {"extraEnv": {"PAIRING_TOKEN_TTL": "5m"}}},
        {"instances": {"namespace": NAMESPACE, "createNamespace": False}},
        {"instances": {"installation": "two words"}},
        {
            "ingress": {"enabled": True, "host": "shoal.example", "tlsSecret": "tls"},
            "shared": {"publicUrl": "http://shoal.example"},
        },
    ],
)
def test_unknown_and_wrong_values_are_refused(values: Object) -> None:
    with pytest.raises(helm.HelmError):
        render(values)


WRONG = {
    "gateway.resources.requests.cpu": ["250 m", "a lot", "-1", -1, "1,5", "2cores"],
    "postgres.resources.limits.memory": ["512MB", "1gb", "2 Gi"],
    "migrations.resources.limits.memory": [True],
    "backup.storage.size": ["50GB", "", "large"],
    "nats.storage.limit": ["ten", "10 GB"],
    "podLabels.team": ["two words", "-x", "x" * 64, "a/b"],
    "podLabels.a b": ["x"],
    "podAnnotations.-": ["x"],
    "gateway.nodeSelector.pool": ["a/b"],
    "networkPolicies.dnsPodLabels.k8s-app": ["kube dns"],
    "backup.schedule": ["", "nightly", "17 3 * *", "60 3 * * *", "17 24 * * *", "17 3 0 * *", "17 3 * 13 *",
                        "17 3 * * 7", "17 3 * * * *", "*/0 * * * *", "@never"],
    "fullnameOverride": ["Fleet", "-fleet", "fleet-", "1fleet", "fleet.one", "f" * 41],
    "instances.namespace": ["Bots", "bots_", "b" * 64, "a.b"],
    "credentials.existing": ["My_Secret", "mine-"],
    "priorityClassName": ["High"],
    "agent-runtime.workspacesClaim": ["work spaces"],
    "postgres.storage.class": ["Fast_SSD"],
    "postgres.existing.secret": ["Superuser"],
    "postgres.existing.secretKey": ["a key", ""],
    "postgres.existing.port": [0, 65536],
    "nats.existing.host": ["nats.example/x", "user@nats"],
    "image.registry": ["https://registry.example", "registry.example/Team"],
    "image.repository": ["Shoal", ""],
    "image.tag": ["a b", "-1"],
    "instances.image": ["Ours:1", "ours: 1"],
    "nats.image": [""],
    "ingress.host": ["https://shoal.example", "Shoal.example", "shoal..example"],
    "ingress.tlsSecret": ["TLS"],
    "instances.screensFrom": [["192.0.2.0"], ["192.0.2.0/33"], ["300.0.2.0/24"], ["everywhere"]],
    "networkPolicies.privateNetworks": [["fd00::/8"]],
    "networkPolicies.privateNetworks6": [["10.0.0.0/8"]],
    "networkPolicies.kubernetesApi.ports": [[0]],
    "gateway.autoscaling": [{"enabled": True, "min": 0}, {"enabled": True, "min": 11}],
    "tracing.endpoint": ["collector:4318"],
    "serviceMonitor.interval": ["15", "soon"],
    "instance-orchestrator.config.imagePullPolicy": ["Sometimes"],
    "image.pullSecrets": [[{"nme": "x"}], [{"name": "X"}]],
}  # fmt: skip
"""What an API server would refuse half-way through an install, by the value's path."""
RIGHT = {
    "gateway.resources.requests.cpu": ["250m", "0.5", 1, 1.5, "1e3"],
    "postgres.resources.limits.memory": ["2Gi", "512M", "1073741824", 1073741824],
    "gateway.resources.limits.nvidia~com/gpu": [1],
    "podLabels.example~com/team": ["fleet", "", "a.b_c-1"],
    "podAnnotations.example~com/note": ["whatever it is: ä"],
    "backup.schedule": ["17 3 * * *", "*/15 0-6,22 1,15 jan-MAR mon-FRI", "0  4 ? * 0", "@daily", "@every 12h30m"],
    "fullnameOverride": ["fleet-1"],
    "instances.namespace": ["1-bots"],
    "ingress.className": ["nginx.example-1"],
    "postgres.existing.secretKey": ["database_url.1"],
    "postgres.existing.host": ["db.example", "10.0.0.7", "[fd00::7]", "db_1,db_2"],
    "image.registry": ["localhost:5000", "registry.example:443/team/fleet"],
    "nats.image": ["nats", "registry.example:5000/x/nats:2.15.1-alpine", f"nats@sha256:{'a' * 64}"],
    "instances.screensFrom": [["192.0.2.0/24", "2001:db8::/32", "0.0.0.0/0", "::/0"]],
    "nats.storage.limit": ["10GB", "10Gi", "1073741824"],
    "tracing.endpoint": ["https://collector.example/otlp"],
    "serviceMonitor.interval": ["1m30s"],
}


def at(path: str, value: Any) -> Object:
    for word in reversed(path.split(".")):
        value = {word.replace("~", "."): value}
    return dict(value)


@pytest.mark.parametrize("path", WRONG)
def test_what_a_cluster_would_refuse_is_refused_at_once(path: str) -> None:
    assert [value for value in WRONG[path] if is_taken(at(path, value))] == []


@pytest.mark.parametrize("path", RIGHT)
def test_what_a_cluster_takes_is_taken(path: str) -> None:
    assert [value for value in RIGHT[path] if not is_taken(at(path, value))] == []


def is_taken(values: Object) -> bool:
    try:
        return bool(render(values))
    except helm.HelmError:
        return False


def test_values_stand_in_the_order_of_each_config_and_hold_its_defaults() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for name in OURS:
        own = [field for field in rendering.fields(name) if not field.is_shared and field.hint is not rendering.Secret]
        assert list(values[name]["config"] or {}) == [field.key for field in own]


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


# what pods may do


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


# how pods come and go


def seconds(text: str) -> int:
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


@pytest.mark.parametrize("shared", [{}, {"drainDelay": "20s", "drainTimeout": "2m"}])
def test_pods_have_longer_to_end_than_their_drain_takes(shared: Object) -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    told = values["shared"] | shared
    for _, pod in pods(render({"shared": shared})):
        if part_of(pod) in OURS:
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
        if part_of(pod) in OURS:
            main = pod["spec"]["containers"][0]
            assert main["startupProbe"]["httpGet"]["path"] == main["livenessProbe"]["httpGet"]["path"] == "/healthz"
            assert main["readinessProbe"]["httpGet"]["path"] == "/readyz"
            assert [one["topologyKey"] for one in pod["spec"]["topologySpreadConstraints"]] == [
                "topology.kubernetes.io/zone", "kubernetes.io/hostname",
            ]  # fmt: skip


def test_every_service_migrates_first_and_only_that_step_sees_the_administrator() -> None:
    for _, pod in pods(render()):
        if part_of(pod) not in OURS:
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
    assert {part_of(pod) for pod in everybody.values()} == {*OURS, "readers", "backup"}
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
        if part_of(pod) in OURS:
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


def test_notes_tell_of_what_will_not_do() -> None:
    proxied = {"ingress": {"enabled": True, "host": "shoal.example"}, "shared": {"publicUrl": "https://shoal.example"}}
    assert "ALL CALLERS LOOK ALIKE" in notes(proxied)
    assert "ALL CALLERS LOOK ALIKE" not in notes({**proxied, "gateway": {"config": {"trustedProxies": ["10.0.0.0/8"]}}})
    assert "TOO FEW CONNECTIONS" in notes({"gateway": {"autoscaling": {"enabled": True}}})
    assert "TOO FEW CONNECTIONS" not in notes({})
    managed = {"bundled": False, "existing": {"host": "db.example"}}
    assert "NOBODY MIGRATES YET" in notes({"postgres": managed})
    assert "NOBODY MIGRATES YET" not in notes({"postgres": {**managed, "existing": {"host": "db", "secret": "it"}}})
    assert "NOBODY MIGRATES YET" not in notes({})


def notes(values: Object) -> str:
    with helm.Chart.load(CHART) as chart:
        files: dict[str, str] = chart.render(values, name="shoal", namespace=NAMESPACE)
    return next(text for name, text in files.items() if name.endswith("NOTES.txt"))


def test_autoscaled_services_leave_their_number_to_the_autoscaler() -> None:
    objects = render(MATRIX["everything on"])
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in of_kind(objects, "HorizontalPodAutoscaler")}
    assert scaled == {"shoal-gateway", "shoal-telemetry-ingest", "shoal-metrics-query"}
    for name in scaled:
        assert "replicas" not in named(objects, "Deployment", name)["spec"]
        assert named(objects, "PodDisruptionBudget", name)["spec"]["maxUnavailable"] == 1


def test_the_operators_prometheus_sees_the_labels_that_alerts_go_by() -> None:
    objects = render(MATRIX["everything on"])
    for name in OURS:
        spec = named(objects, "ServiceMonitor", f"shoal-{name}")["spec"]
        service = named(objects, "Service", f"shoal-{name}")
        assert service["metadata"]["labels"][spec["jobLabel"]] == "shoal"
        assert spec["endpoints"][0]["relabelings"] == [{"targetLabel": "service", "replacement": name}]


def test_the_alert_for_what_is_gone_names_the_services_that_are_wanted() -> None:
    assert _services_of_the_alert({}) == set(OURS)
    missing = {"agent-runtime", "instance-orchestrator", "ssh-manager"}
    assert _services_of_the_alert({**MATRIX["little"], "alerts": {"enabled": True}}) == set(OURS) - missing
    told = set(re.findall(r'service="([\w-]+)"', (CHART / "files" / "alerts.yaml").read_text()))
    assert told == set(OURS), "deploy/helm/shoal/files/alerts.yaml: ShoalServiceDown"


def _services_of_the_alert(values: Object) -> set[str]:
    text = named(render(values), "ConfigMap", "shoal-alerts")["data"]["shoal.yaml"]
    rules = {rule["alert"]: rule["expr"] for rule in yaml.safe_load(text)["groups"][0]["rules"]}
    return set(
        re.findall(
            r'absent_over_time\(up{job="shoal",namespace=~"prod\|",service="([\w-]+)"}', rules["ShoalServiceDown"]
        )
    )


def test_streams_of_hours_pass_the_ingress() -> None:
    (ingress,) = of_kind(render(MATRIX["everything on"]), "Ingress")
    notes = ingress["metadata"]["annotations"]
    assert notes["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "3600"
    assert notes["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    assert ingress["spec"]["tls"] == [{"hosts": ["shoal.example"], "secretName": "tls"}]


def test_the_namespace_of_instances_is_as_strict_as_they_allow() -> None:
    def level(config: dict[str, Any]) -> str:
        (made,) = of_kind(render({"instance-orchestrator": {"config": config}}), "Namespace")
        return str(made["metadata"]["labels"]["pod-security.kubernetes.io/enforce"])

    assert level({}) == "restricted"
    assert level({"runAsUser": 0}) == "baseline"
    assert level({"isPrivileged": True}) == "privileged"


def test_instances_bear_the_label_of_their_release() -> None:
    def label(values: Object, namespace: str = NAMESPACE) -> str:
        pod = named(render(values, namespace=namespace), "Deployment", "shoal-instance-orchestrator")["spec"][
            "template"
        ]
        return {one["name"]: one for one in containers(pod)[1]["env"]}["INSTANCE_ORCHESTRATOR_INSTALLATION"]["value"]

    assert label({}) == "prod.shoal"
    assert label({"instances": {"installation": "former.shoal"}}) == "former.shoal"
    long = label({}, "n" * 63)
    assert (len(long), long[:54]) == (63, "n" * 54)
    assert len({long, label({}, f"{'n' * 62}m"), label({}, f"{'n' * 55}")}) == 3


def test_bundled_nats_keeps_what_it_acknowledged() -> None:
    text = named(render(), "ConfigMap", "shoal-nats")["data"]["nats.conf"]
    assert "sync_interval: always" in text
