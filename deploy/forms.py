"""What values of the chart may look like: what a cluster would refuse later, `helm` refuses at once.

Patterns are of the kind that Go and JavaScript both read: nothing looks ahead or behind.
"""

from collections.abc import Mapping
from typing import Any

Form = Mapping[str, Any]

_PART = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_OCTET = "(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_NETWORK4 = rf"{_OCTET}(\.{_OCTET}){{3}}/([12]?[0-9]|3[0-2])"
_NETWORK6 = "[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*/([1-9]?[0-9]|1[01][0-9]|12[0-8])"
_TAG = "[A-Za-z0-9_][-A-Za-z0-9_.]{0,127}"
_REGISTRY = "[A-Za-z0-9][-A-Za-z0-9.]*(:[0-9]+)?"
_PATH = "[a-z0-9]+([-._/]+[a-z0-9]+)*"


def _text(pattern: str, **more: Any) -> Form:
    return {"type": "string", "pattern": f"^({pattern})$", **more}


def _or_nothing(pattern: str, **more: Any) -> Form:
    return _text(f"{pattern}|", **more)


def _map(values: Form) -> Form:
    return {
        "type": "object",
        "propertyNames": {"pattern": f"^(({_DOTTED})/)?{_LABEL}$"},
        "additionalProperties": values,
    }


def _list(items: Form) -> Form:
    return {"type": "array", "items": items}


def _cron() -> str:
    """Write the five fields of a schedule, or a word for one."""
    day, month, weekday = "0?[1-9]|[12][0-9]|3[01]", "0?[1-9]|1[0-2]|[A-Za-z]{3}", "[0-6]|[A-Za-z]{3}"
    fields = []
    for number in ("[0-5]?[0-9]", "[01]?[0-9]|2[0-3]", day, month, weekday):
        item = rf"([*?]|({number})(-({number}))?)(/[1-9][0-9]*)?"
        fields.append(f"{item}(,{item})*")
    return " +".join(fields) + "|@(yearly|annually|monthly|weekly|daily|midnight|hourly|every ([0-9]+(ms|s|m|h))+)"


_DOTTED = rf"{_PART}(\.{_PART})*"

TEXTS: Form = {"type": ["string", "number", "boolean"]}
OBJECTS = _list({"type": "object"})
DURATION: Form = {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$"}
WHOLE_SECONDS: Form = {"type": "string", "pattern": "^[0-9]+[smh]$"}
"""Of these the chart computes how long a pod may take to end."""
NAME = _or_nothing(_DOTTED, maxLength=253)
"""An object's name, or none."""
LABEL = _or_nothing(_LABEL)
LABELS, ANNOTATIONS = _map(LABEL), _map({"type": "string"})
QUANTITY: Form = {
    "type": ["string", "number"],
    "minimum": 0,
    "pattern": r"^[0-9]+(\.[0-9]+)?([numkMGTPE]|[KMGTPE]i|[eE][-+]?[0-9]+)?$",
}
QUANTITIES: Form = {"type": "object", "additionalProperties": QUANTITY}
PORT: Form = {"type": "integer", "minimum": 1, "maximum": 65535}
SOME: Form = {"type": "integer", "minimum": 1}
IMAGE = _or_nothing(f"({_REGISTRY}/)?{_PATH}(:{_TAG})?(@sha256:[0-9a-f]{{64}})?")
ADDRESS = _or_nothing(r"[^\s/@]+")
"""Where a server is, as an address has it between `@` and `:`."""
NETWORKS = _list(_text(f"{_NETWORK4}|{_NETWORK6}"))

FREE: Mapping[str, Form] = {
    "nodeSelector": LABELS,
    "affinity": {"type": "object"},
    "digests": {"type": "object", "additionalProperties": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}},
    "extraVolumes": OBJECTS,
    "extraVolumeMounts": OBJECTS,
    "serviceAnnotations": ANNOTATIONS,
    "podLabels": LABELS,
    "podAnnotations": ANNOTATIONS,
    "labels": LABELS,
    "annotations": ANNOTATIONS,
    "dnsPodLabels": LABELS,
    "tolerations": OBJECTS,
    "peers": OBJECTS,
    "gatewayFrom": OBJECTS,
    "metricsFrom": OBJECTS,
    "readersFrom": OBJECTS,
    "egress": OBJECTS,
    "agentRuntimeTo": OBJECTS,
    "resources": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"requests": QUANTITIES, "limits": QUANTITIES},
    },
    "extraEnv": {
        "type": "object",
        "propertyNames": {"pattern": "^[A-Z][A-Z0-9_]*$"},
        "additionalProperties": {"type": [*TEXTS["type"], "object"]},
    },
}
"""What is the operator's own affair inside: its form is Kubernetes'."""
NARROW: Mapping[str, Form] = {
    "fullnameOverride": _or_nothing("[a-z]([-a-z0-9]*[a-z0-9])?", maxLength=40),
    "image.registry": _or_nothing(f"{_REGISTRY}(/{_PATH})?"),
    "image.repository": _text(_PATH),
    "image.tag": _or_nothing(_TAG),
    "image.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "pullSecrets": _list(
        {"type": "object", "required": ["name"], "additionalProperties": False, "properties": {"name": NAME}}
    ),
    "priorityClassName": NAME,
    "credentials.existing": _or_nothing(_DOTTED, maxLength=230),
    "credentials.revision": TEXTS,
    "shared.publicUrl": {"type": "string", "pattern": "^https?://[^/]+$"},
    "gateway.serviceType": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    "agent-runtime.workspacesClaim": NAME,
    "instance-orchestrator.config.ports": _text("[0-9]{1,5}-[0-9]{1,5}"),
    "instance-orchestrator.config.storageClass": NAME,
    "instance-orchestrator.config.imagePullSecret": NAME,
    "instance-orchestrator.config.imagePullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "instance-orchestrator.config.runAsUser": {"type": "integer", "minimum": 0},
    "instances.namespace": _or_nothing(_PART, maxLength=63),
    "instances.installation": LABEL,
    "instances.screensFrom": NETWORKS,
    "instances.image": IMAGE,
    "postgres.image": {**IMAGE, "minLength": 1},
    "nats.image": {**IMAGE, "minLength": 1},
    "postgres.maxConnections": SOME,
    "storage.size": QUANTITY,
    "storage.class": NAME,
    "nats.storage.limit": _text("[0-9]+([KMGTkmgt]([Ii]?[Bb]|[Ii])?)?"),
    "existing.host": ADDRESS,
    "existing.port": PORT,
    "existing.database": _text(r"[^\s/?]+"),
    "existing.parameters": _or_nothing(r"[^\s?]+"),
    "existing.secret": NAME,
    "authority.configMap": NAME,
    "authority.secret": NAME,
    "authority.key": _text("[-._A-Za-z0-9]+", maxLength=253),
    "existing.secretKey": _text("[-._A-Za-z0-9]+", maxLength=253),
    "replicas": SOME,
    "autoscaling.min": SOME,
    "autoscaling.max": SOME,
    "autoscaling.cpu": {"type": "integer", "minimum": 1, "maximum": 100},
    "preStop": {"type": "integer", "minimum": 0, "maximum": 300},
    "backup.schedule": _text(_cron()),
    "backup.keep": SOME,
    "alerts.backupHours": SOME,
    "ingress.className": NAME,
    "ingress.host": NAME,
    "ingress.tlsSecret": NAME,
    "ingress.controller": {"enum": ["", "nginx"]},
    "ingress.streamSeconds": SOME,
    "networkPolicies.dnsCidrs": NETWORKS,
    "networkPolicies.privateNetworks": _list(_text(_NETWORK4)),
    "networkPolicies.privateNetworks6": _list(_text(_NETWORK6)),
    "kubernetesApi.cidrs": NETWORKS,
    "kubernetesApi.ports": _list(PORT),
    "tracing.endpoint": _or_nothing(r"https?://\S+"),
    "tracing.port": PORT,
    "serviceMonitor.interval": _text("([0-9]+(ms|[smhdwy]))+"),
}
"""Forms by the whole path of a value, its last two words, or its last one."""
