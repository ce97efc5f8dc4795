"""The chart's values: what is taken, what is refused before a cluster sees it, and what they are by themselves."""

from typing import Any

import helm_python as helm
import pytest
import render as rendering
import yaml
from chart import CHART, NAMESPACE, SERVICES, Object, is_taken, render


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


def test_values_stand_in_the_order_of_each_config_and_hold_its_defaults() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for name in SERVICES:
        own = [field for field in rendering.fields(name) if not field.is_shared and field.hint is not rendering.Secret]
        assert list(values[name]["config"] or {}) == [field.key for field in own]


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
