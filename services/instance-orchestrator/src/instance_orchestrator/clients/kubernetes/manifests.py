"""The objects of an instance, as pure values: from a plan to what the API is told.

Of an instance N: volumes N-clawdbot, N-homebrew, N-clawd, N-chrome; Secret N-keys (its environment) and N-ssh (what its
SSH server and agent need); ConfigMap N-config; Deployment N; Services N-vnc (NodePort) and N-ssh.
"""

import base64
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from instance_orchestrator.clients.kubernetes.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    SECRET,
    SERVICE,
    VOLUME,
    Kind,
)
from instance_orchestrator.domain.plans import InstanceRef, Plan

APPLICATION, MANAGED_BY, RUN = "app", "app.kubernetes.io/managed-by", "shoal/run-hash"
INSTALLATION, INSTANCE = "shoal/installation", "shoal/instance-id"
OURS = "shoal"
CONTAINER = "moltbot"
CHROME_PORT, TERMINAL_PORT, SSH_PORT = 6081, 6082, 2222
FOLDER, GIVEN, CONFIG = "/root/.clawdbot/shoal", "/etc/shoal/instance", "/etc/clawdbot/clawdbot.json"
VOLUMES: Mapping[str, str] = {
    "clawdbot": "/root/.clawdbot",
    "homebrew": "/home/linuxbrew/.linuxbrew",
    "clawd": "/root/clawd",
    "chrome": "/root/.config/google-chrome",
}

OWN_CGROUP = "/sys/fs/cgroup"
"""Where a container sees its own, on nodes with cgroups of version 2; elsewhere it tells nothing there."""

Object = dict[str, Any]


class PodSettings(Struct, frozen=True, kw_only=True):
    """What all objects of this installation have in common, and its pods."""

    installation: str
    storage_class: str
    image_pull_secret: str
    image_pull_policy: str
    run_as_user: int
    is_privileged: bool
    ssh_user: str
    interval_s: float


def names(instance: InstanceRef) -> list[tuple[Kind, str]]:
    """List the objects of an instance in the order in which they are deleted; the ConfigMap is last, as the anchor."""
    name = instance.name
    return [
        (DEPLOYMENT, name),
        (SERVICE, f"{name}-vnc"),
        (SERVICE, f"{name}-ssh"),
        *((VOLUME, f"{name}-{volume}") for volume in VOLUMES),
        (SECRET, f"{name}-keys"),
        (SECRET, f"{name}-ssh"),
        (CONFIG_MAP, f"{name}-config"),
    ]


def objects(plan: Plan, settings: PodSettings) -> list[tuple[Kind, Object]]:
    """Write every object of an instance, in the order in which they are made."""
    name = plan.instance.name
    return [
        *((VOLUME, _volume(plan, volume, settings)) for volume in VOLUMES),
        (SECRET, _secret(plan, settings, "keys", {key: value.encode() for key, value in plan.environment.items()})),
        (SECRET, _secret(plan, settings, "ssh", _ssh_files(plan))),
        (CONFIG_MAP, _object(plan, settings, CONFIG_MAP, f"{name}-config", data=_config_files(plan, settings))),
        (DEPLOYMENT, _object(plan, settings, DEPLOYMENT, name, spec=_deployment(plan, settings))),
        (SERVICE, _object(plan, settings, SERVICE, f"{name}-vnc", spec=_screens(plan))),
        (SERVICE, _object(plan, settings, SERVICE, f"{name}-ssh", spec=_ssh(plan))),
    ]


def labels(instance: InstanceRef, installation: str) -> dict[str, str]:
    """Write the labels of everything that belongs to an instance."""
    return {
        APPLICATION: instance.name,
        MANAGED_BY: OURS,
        INSTALLATION: installation,
        INSTANCE: str(instance.id),
    }


def selector(installation: str, instance: InstanceRef | None = None) -> str:
    """Select what belongs to an installation, or to one of its instances."""
    whole = f"{MANAGED_BY}={OURS},{INSTALLATION}={installation}"
    return f"{whole},{INSTANCE}={instance.id}" if instance else whole


def _object(plan: Plan, settings: PodSettings, kind: Kind, name: str, **content: Any) -> Object:
    metadata = {"name": name, "labels": labels(plan.instance, settings.installation)}
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, **content}


def _volume(plan: Plan, volume: str, settings: PodSettings) -> Object:
    spec: Object = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": plan.resources.storage[volume]}},
    }
    if settings.storage_class:
        spec["storageClassName"] = settings.storage_class
    return _object(plan, settings, VOLUME, f"{plan.instance.name}-{volume}", spec=spec)


def _secret(plan: Plan, settings: PodSettings, suffix: str, files: Mapping[str, bytes]) -> Object:
    encoded = {key: base64.b64encode(content).decode() for key, content in files.items()}
    content: Object = {"data": encoded} if encoded else {}  # the API keeps no empty map: it would never be as planned
    return _object(plan, settings, SECRET, f"{plan.instance.name}-{suffix}", type="Opaque", **content)


def _ssh_files(plan: Plan) -> dict[str, bytes]:
    key = f"{plan.authorized.line}\n" if plan.authorized else ""
    return {
        "host_key": plan.host_key.private.encode(),
        "authorized_keys": key.encode(),
        "pairing_token": plan.seat.token.encode(),
    }


def _config_files(plan: Plan, settings: PodSettings) -> dict[str, str]:
    """Write the config as it is, and how our agent is to serve (see `shoal_agent.instance.folder`)."""
    served = {
        "name": plan.instance.name,
        "agent_id": plan.seat.agent_id,
        "gateway_url": plan.seat.gateway_url,
        "host": "0.0.0.0",
        "desktop_port": CHROME_PORT,
        "terminal_port": TERMINAL_PORT,
        "ssh_user": settings.ssh_user,
        "ssh_host": "0.0.0.0",
        "ssh_port": SSH_PORT,
        "interval_s": settings.interval_s,
        "is_measured_alone": True,
        "own_cgroup": OWN_CGROUP,
        "is_logging_to_stdout": True,
    }
    return {"clawdbot.json": plan.config.decode(), "settings.json": msgspec.json.encode(served).decode()}


def _deployment(plan: Plan, settings: PodSettings) -> Object:
    return {
        "replicas": int(plan.is_running),
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": {APPLICATION: plan.instance.name}},
        "template": {
            "metadata": {
                "labels": labels(plan.instance, settings.installation),
                "annotations": {
                    "shoal/config-hash": plan.config_hash,
                    "shoal/keys-hash": plan.keys_hash,
                    "shoal/restarts": str(plan.restarts),
                    RUN: plan.run_hash,
                },
            },
            "spec": _pod(plan, settings),
        },
    }


def _pod(plan: Plan, settings: PodSettings) -> Object:
    name = plan.instance.name
    pod: Object = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": _pod_security(settings),
        "containers": [_container(plan, settings)],
        "volumes": [
            *({"name": f"{one}-data", "persistentVolumeClaim": {"claimName": f"{name}-{one}"}} for one in VOLUMES),
            {"name": "config", "configMap": {"name": f"{name}-config"}},
            {
                "name": "given",
                "projected": {
                    "defaultMode": 0o440,
                    "sources": [{"secret": {"name": f"{name}-ssh"}}, {"configMap": {"name": f"{name}-config"}}],
                },
            },
            {"name": "run", "emptyDir": {"medium": "Memory"}},
            {"name": "tmp", "emptyDir": {}},
            {"name": "dshm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}},
        ],
    }
    if settings.image_pull_secret:
        pod["imagePullSecrets"] = [{"name": settings.image_pull_secret}]
    return pod


def _pod_security(settings: PodSettings) -> Object:
    security: Object = {"seccompProfile": {"type": "RuntimeDefault"}}
    if settings.run_as_user:
        user = settings.run_as_user
        security |= {"runAsNonRoot": True, "runAsUser": user, "runAsGroup": user, "fsGroup": user}
    return security


def _container(plan: Plan, settings: PodSettings) -> Object:
    resources = plan.resources
    security: Object = {"allowPrivilegeEscalation": False, "privileged": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "name": CONTAINER,
        "image": plan.image,
        "imagePullPolicy": settings.image_pull_policy,
        "securityContext": {"privileged": True} if settings.is_privileged else security,
        "ports": [
            {"name": "novnc-chrome", "containerPort": CHROME_PORT, "protocol": "TCP"},
            {"name": "novnc-term", "containerPort": TERMINAL_PORT, "protocol": "TCP"},
            {"name": "ssh", "containerPort": SSH_PORT, "protocol": "TCP"},
        ],
        "env": [
            {"name": "VNC_RESOLUTION", "value": plan.resolution},
            {"name": "VNC_DEPTH", "value": "24"},
            {"name": "SHOAL_INSTANCE_DIR", "value": FOLDER},
            {"name": "SHOAL_INSTANCE_GIVEN", "value": GIVEN},
        ],
        "envFrom": [{"secretRef": {"name": f"{plan.instance.name}-keys"}}],
        "resources": {
            "requests": {"cpu": resources.cpu_request, "memory": resources.memory_request},
            "limits": {"cpu": resources.cpu_limit, "memory": resources.memory_limit},
        },
        "volumeMounts": _mounts(),
        "livenessProbe": {
            "tcpSocket": {"port": CHROME_PORT},
            "initialDelaySeconds": 60,
            "periodSeconds": 30,
        },
        "readinessProbe": {
            "httpGet": {"path": "/", "port": CHROME_PORT},
            "initialDelaySeconds": 1,
            "periodSeconds": 10,
        },
    }


def _mounts() -> list[Object]:
    return [
        *({"name": f"{volume}-data", "mountPath": path} for volume, path in VOLUMES.items()),
        {"name": "config", "mountPath": CONFIG, "subPath": "clawdbot.json", "readOnly": True},
        {"name": "given", "mountPath": GIVEN, "readOnly": True},
        {"name": "run", "mountPath": "/run"},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - of the container
        {"name": "dshm", "mountPath": "/dev/shm"},  # noqa: S108
    ]


def _screens(plan: Plan) -> Object:
    ports = [("chrome", CHROME_PORT, plan.ports.chrome), ("terminal", TERMINAL_PORT, plan.ports.terminal)]
    return {
        "type": "NodePort",
        "selector": {APPLICATION: plan.instance.name},
        "ports": [
            {"name": name, "port": port, "targetPort": port, "nodePort": node, "protocol": "TCP"}
            for name, port, node in ports
        ],
    }


def _ssh(plan: Plan) -> Object:
    return {
        "type": "ClusterIP",
        "selector": {APPLICATION: plan.instance.name},
        "ports": [{"name": "ssh", "port": 22, "targetPort": SSH_PORT, "protocol": "TCP"}],
    }
