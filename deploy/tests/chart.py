"""Rendering the chart, and looking into what came of it."""

import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

CHART = Path(__file__).parent.parent / "helm" / "shoal"
NAMESPACE, RELEASE, BOTS = "prod", "shoal", "prod-bots"
SERVICES = ("gateway", "pairing", "telemetry-ingest", "metrics-query", "agent-runtime", "instance-orchestrator",
            "ssh-manager")  # fmt: skip
"""Every service, in the order of the values."""
Object = dict[str, Any]

MATRIX: Mapping[str, Object] = {
    "as it comes": {},
    "everything on": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "ingress": {"enabled": True, "host": "shoal.example", "tlsSecret": "tls", "className": "nginx"},
        "gateway": {"autoscaling": {"enabled": True}, "serviceType": "LoadBalancer", "serviceAnnotations": {"a": "b"}},
        "telemetry-ingest": {"autoscaling": {"enabled": True}},
        "metrics-query": {"autoscaling": {"enabled": True}},
        "tracing": {"endpoint": "http://collector.monitoring:4318"},
        "backup": {"enabled": True},
        "instances": {"screensFrom": ["192.0.2.0/24"]},
        "networkPolicies": {
            "metricsFrom": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}],
            "dnsCidrs": ["169.254.20.10/32"],
        },
        "image": {
            "registry": "registry.example/team",
            "pullSecrets": [{"name": "pull"}],
            "digests": {"pairing": f"sha256:{'a' * 64}"},
        },
        "shared": {"publicUrl": "https://shoal.example"},
        "agent-runtime": {
            "workspacesClaim": "workspaces",
            "affinity": {"nodeAffinity": {}},
            "extraEnv": {"AGENT_RUNTIME_X": {"secretKeyRef": {"name": "x", "key": "y"}}, "AGENT_RUNTIME_Y": 5},
        },
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}],
    },
    "servers of one's own": {
        "postgres": {
            "bundled": False,
            "existing": {
                "host": "db.example",
                "secret": "superuser",
                "secretKey": "uri",
                "authority": {"secret": "db-ca"},
            },
        },
        "nats": {
            "bundled": False,
            "existing": {"host": "nats.example", "authority": {"configMap": "roots", "key": "nats.pem"}},
        },
        "backup": {"enabled": True},
        "shared": {"streamReplicas": 3, "publicUrl": "https://shoal.example"},
    },
    "secrets of one's own": {"credentials": {"existing": "mine"}, "fullnameOverride": "fleet"},
    "little": {
        "agent-runtime": {"enabled": False},
        "instance-orchestrator": {"enabled": False},
        "ssh-manager": {"enabled": False},
        "networkPolicies": {"enabled": False},
        "dashboards": {"enabled": False},
        "alerts": {"enabled": False},
        "nats": {"readers": {"enabled": False}},
    },
}
"""Values that between them take every branch of the templates."""


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Where libyaml is there, it reads ten times as fast, and reading is most of what these tests do."""


def render(values: Object | None = None, *, namespace: str = NAMESPACE) -> list[Object]:
    """Render with these values over the chart's own; the objects are the caller's to change."""
    objects: list[Object] = json.loads(_rendered(json.dumps(values or {}), namespace))
    return objects


def is_taken(values: Object) -> bool:
    """Tell whether the chart takes these values."""
    try:
        return bool(render(values))
    except helm.HelmError:
        return False


def parsed(text: str) -> list[Object]:
    """Read what is in a file of objects."""
    return [made for made in yaml.load_all(text, Loader=_Loader) if made]


@functools.lru_cache
def _rendered(values: str, namespace: str) -> str:
    """Render every template, once for the same values."""
    with helm.Chart.load(CHART) as chart:
        files: dict[str, str] = chart.render(json.loads(values), name=RELEASE, namespace=namespace)
    made = [one for name, text in sorted(files.items()) if name.endswith(".yaml") for one in parsed(text)]
    return json.dumps(made)


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    """Choose objects by kind."""
    return [one for one in objects if one["kind"] in kinds]


def named(objects: list[Object], kind: str, name: str) -> Object:
    """Choose one object."""
    return next(one for one in of_kind(objects, kind) if one["metadata"]["name"] == name)


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Yield the pod template of everything that makes pods, by the name of what makes it."""
    for one in of_kind(objects, "Deployment", "StatefulSet", "Job"):
        yield one["metadata"]["name"], one["spec"]["template"]
    for one in of_kind(objects, "CronJob"):
        yield one["metadata"]["name"], one["spec"]["jobTemplate"]["spec"]["template"]


def containers(pod: Object) -> list[Object]:
    """List all containers of a pod template."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def part_of(pod: Object) -> str:
    """Tell which part of the suite a pod is."""
    return str(pod["metadata"]["labels"]["app.kubernetes.io/component"])
