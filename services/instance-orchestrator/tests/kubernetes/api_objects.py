"""What an API server does with objects: schemas, server-side apply, defaults, immutability, canonical quantities."""

import functools
import hashlib
import json
from copy import deepcopy
from decimal import Decimal
from typing import Any

import jsonschema
import referencing
from aiohttp import web
from api_fields import identity, key_of
from kubernetes_validate import utils as schemas

VERSION = "1.34"
QUANTITIES = {"cpu", "memory", "storage", "sizeLimit"}

Object = dict[str, Any]


class RefusalError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status, self.reason = status, reason
        super().__init__(message)


def status_of(refusal: RefusalError) -> web.Response:
    """Answer with a refusal."""
    body: Object = {
        "kind": "Status",
        "status": "Failure",
        "message": str(refusal),
        "reason": refusal.reason,
        "code": refusal.status,
    }
    headers = {"Retry-After": "1"} if refusal.status == 429 else {}
    return web.json_response(body, status=refusal.status, headers=headers)


def check_schema(body: Object) -> None:
    """Refuse what the schema of its kind, strictly read, does not allow."""
    error = jsonschema.exceptions.best_match(_validator(body["kind"], body["apiVersion"]).iter_errors(body))
    if error is not None:
        raise RefusalError(400, "BadRequest", f"{body['kind']} {list(error.path)}: {error.message}")


@functools.cache
def _validator(kind: str, api_version: str) -> jsonschema.Draft202012Validator:
    group = api_version.replace("/", "-")
    folder = f"kubernetes-json-schema/v{_schema_version()}-local-strict"
    schema = schemas.schema_contents(f"{folder}/{kind.lower()}-{group}.json", VERSION)
    definitions = schemas.schema_contents(f"{folder}/_definitions.json", VERSION)
    registry = referencing.Resource.from_contents(schema) @ referencing.Registry()
    registry = referencing.Resource.from_contents(definitions) @ registry
    return jsonschema.Draft202012Validator(schema, registry=registry)


@functools.cache
def _schema_version() -> str:
    return next(version for version in schemas.all_versions() if schemas.major_minor(version) == VERSION)


def applied(live: Object, before: Object, body: Object) -> Object:
    """Merge what a manager applies into an object: what it applied before and no longer does goes."""
    return _merged(_without(deepcopy(live), before, body), body)


def conflicts(live: Object, body: Object, others: list[Object], path: str = "") -> list[str]:
    """List the fields that another manager has applied otherwise."""
    found = []
    for key, value in body.items():
        theirs = [other[key] for other in others if key in other]
        if isinstance(value, dict):
            found += conflicts(
                live.get(key, {}), value, [one for one in theirs if isinstance(one, dict)], f"{path}.{key}"
            )
        elif any(one != value for one in theirs):
            found.append(f"{path}.{key}")
    return found


def _merged(live: Any, body: Any, field: str = "") -> Any:
    if isinstance(body, dict) and isinstance(live, dict):
        return {**live, **{key: _merged(live.get(key), value, key) for key, value in body.items()}}
    if isinstance(body, list) and isinstance(live, list) and (key := key_of(body, field)):
        there = {identity(one, key): one for one in live}
        mine = {name: _merged(there.get(name), one) for one in body if (name := identity(one, key))}
        return [*mine.values(), *(one for name, one in there.items() if name not in mine)]
    return canonical(body, field)


def _without(live: Any, before: Any, body: Any, field: str = "") -> Any:
    if isinstance(before, dict) and isinstance(live, dict) and isinstance(body, dict):
        for key in before:
            if key not in body:
                live.pop(key, None)
            elif key in live:
                live[key] = _without(live[key], before[key], body[key], key)
    elif (
        isinstance(before, list) and isinstance(live, list) and isinstance(body, list) and (key := key_of(body, field))
    ):
        gone = {identity(one, key) for one in before} - {identity(one, key) for one in body}
        told, says = ({identity(one, key): one for one in items} for items in (before, body))
        return [
            _without(one, told.get(name), says.get(name)) for one in live if (name := identity(one, key)) not in gone
        ]
    return live


def canonical(value: Any, field: str = "") -> Any:
    """Write quantities as the API stores them; everything else as it is."""
    if isinstance(value, dict):
        return {key: canonical(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [canonical(one) for one in value]
    return _quantity(value) if field in QUANTITIES and isinstance(value, str) else value


def _quantity(text: str) -> str:
    for power, unit in ((4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "Ki")):
        if text.endswith("i"):
            amount = Decimal(text[:-2]) * Decimal(1024) ** ("KMGT".index(text[-2]) + 1)
            if amount % Decimal(1024) ** power == 0:
                return f"{amount / Decimal(1024) ** power:f}{unit}"
    if text.endswith("i"):
        return text
    milli = Decimal(text[:-1]) if text.endswith("m") else Decimal(text) * 1000
    return f"{milli / 1000:f}".partition(".")[0] if milli % 1000 == 0 else f"{milli:f}".partition(".")[0] + "m"


def with_defaults(plural: str, body: Object) -> Object:
    """Add what the API server adds."""
    if plural == "services":
        spec = body["spec"]
        spec.setdefault("clusterIP", "10.96.0." + str(int(hashlib.sha256(_key(body)).hexdigest(), 16) % 250 + 1))
        spec.setdefault("sessionAffinity", "None")
        for port in spec["ports"] if spec.get("type", "ClusterIP") == "ClusterIP" else []:
            port.pop("nodePort", None)
    elif plural == "deployments":
        body["spec"].setdefault("progressDeadlineSeconds", 600)
        body["spec"].setdefault("revisionHistoryLimit", 10)
        pod = body["spec"]["template"]["spec"]
        pod.setdefault("restartPolicy", "Always")
        pod.setdefault("dnsPolicy", "ClusterFirst")
        for container in pod["containers"]:
            container.setdefault("terminationMessagePath", "/dev/termination-log")
            if "livenessProbe" in container:
                container["livenessProbe"].setdefault("timeoutSeconds", 1)
    elif plural == "persistentvolumeclaims":
        body["spec"].setdefault("volumeMode", "Filesystem")
        body["spec"].setdefault("storageClassName", "played")
        if "uid" not in body["metadata"]:
            body["metadata"].setdefault("finalizers", ["kubernetes.io/pvc-protection"])
        body.setdefault("status", {"phase": "Pending"})
    elif plural == "pods":
        body.setdefault("status", {"phase": "Pending"})
    return body


def _key(body: Object) -> bytes:
    return body["metadata"]["name"].encode()


def hash_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:10]
