"""What an API server refuses: objects that make no sense, ports that are taken, changes of what cannot change."""

import re
from copy import deepcopy
from typing import Any

from api_objects import RefusalError

NODE_PORTS = range(30000, 32768)
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")

Object = dict[str, Any]


def _invalid(kind: str, body: Object, why: str) -> RefusalError:
    return RefusalError(422, "Invalid", f'{kind} "{body["metadata"]["name"]}" is invalid: {why}')


def check_object(plural: str, body: Object, objects: dict[tuple[str, str], Object]) -> None:
    """Refuse what a schema lets pass and a server does not."""
    metadata = body["metadata"]
    if not NAME.fullmatch(metadata["name"]):
        raise _invalid(plural, body, f"metadata.name: Invalid value: {metadata['name']!r}")
    for value in metadata.get("labels", {}).values():
        if not LABEL.fullmatch(value):
            raise _invalid(plural, body, f"metadata.labels: Invalid value: {value!r}")
    if plural == "deployments":
        _check_deployment(body)
    elif plural == "services":
        _check_ports(body, objects)


def _check_deployment(body: Object) -> None:
    template = body["spec"]["template"]
    selected = body["spec"]["selector"].get("matchLabels", {}).items()
    if not selected <= template["metadata"].get("labels", {}).items():
        raise _invalid("Deployment.apps", body, "`selector` does not match template `labels`")
    volumes = {volume["name"] for volume in template["spec"].get("volumes", [])}
    for container in template["spec"]["containers"]:
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                raise _invalid("Deployment.apps", body, f'volumeMounts: Not found: "{mount["name"]}"')


def _check_ports(body: Object, objects: dict[tuple[str, str], Object]) -> None:
    taken = {
        port["nodePort"]
        for (plural, name), one in objects.items()
        if plural == "services" and name != body["metadata"]["name"]
        for port in one["spec"]["ports"]
        if "nodePort" in port
    }
    mine = set[int]()
    for number, port in enumerate(body["spec"]["ports"]):
        if (node_port := port.get("nodePort")) is None:
            continue
        field = f"spec.ports[{number}].nodePort"
        if node_port in mine:
            raise _invalid("Service", body, f"{field}: Duplicate value: {node_port}")
        if node_port not in NODE_PORTS:
            raise _invalid(
                "Service", body, f"{field}: Invalid value: {node_port}: provided port is not in the valid range"
            )
        if node_port in taken:
            raise _invalid("Service", body, f"{field}: Invalid value: {node_port}: provided port is already allocated")
        mine.add(node_port)


def check_started(pod: Object, container: str) -> None:
    """Refuse the log of a container that is none of the pod's, or waits to start."""
    name, status = pod["metadata"]["name"], pod["status"]
    if all(one["name"] != container for one in pod["spec"]["containers"]):
        raise RefusalError(400, "BadRequest", f"container {container} is not valid for pod {name}")
    told = [one["state"] for one in status.get("containerStatuses", []) if one["name"] == container]
    if status["phase"] == "Pending" or any("waiting" in state for state in told):
        raise RefusalError(400, "BadRequest", f'container "{container}" in pod "{name}" is waiting to start')


def check_change(plural: str, before: Object, after: Object) -> None:
    """Refuse changes of what cannot change."""
    if after["metadata"].get("uid", before["metadata"].get("uid")) != before["metadata"].get("uid"):
        raise _invalid(plural, after, "metadata.uid: field is immutable")
    if plural == "deployments" and before["spec"]["selector"] != after["spec"]["selector"]:
        raise _invalid("Deployment.apps", after, "spec.selector: field is immutable")
    if plural == "persistentvolumeclaims" and before["spec"] != after["spec"]:
        _check_claim(before, after)


def _check_claim(before: Object, after: Object) -> None:
    old, new = deepcopy(before["spec"]), deepcopy(after["spec"])
    sizes = [_bytes(spec.pop("resources")["requests"]["storage"]) for spec in (old, new)]
    is_bound = before.get("status", {}).get("phase") == "Bound"
    if old != new or not is_bound:
        why = "spec: Forbidden: spec is immutable after creation except resources.requests for bound claims"
        raise _invalid("PersistentVolumeClaim", after, why)
    if sizes[1] < sizes[0]:
        why = "spec.resources.requests.storage: Forbidden: field can not be less than previous value"
        raise _invalid("PersistentVolumeClaim", after, why)


def _bytes(text: str) -> float:
    return float(text[:-2]) * 1024 ** ("KMGT".index(text[-2]) + 1)
