"""Who says what of an object: `managedFields` as a server that knows server-side apply writes them."""

import json
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]

KEYS: dict[str, list[tuple[str, ...]]] = {
    "containers": [("name",)],
    "env": [("name",)],
    "volumes": [("name",)],
    "volumeMounts": [("mountPath",)],
    "ports": [("containerPort", "protocol"), ("port", "protocol")],
    "imagePullSecrets": [("name",)],
}
"""By what the items of a list are known; other lists are one value each."""
NAMES = {"apiVersion", "kind", "name"}
"""What names an object or an item: nobody's field in particular."""
MAPS = {"data", "labels", "annotations", "matchLabels", "selector", "requests", "limits"}


def key_of(items: list[Any], field: str) -> tuple[str, ...] | None:
    """Tell by which of their fields the items of a list are known."""
    return next(
        (key for key in KEYS.get(field, ()) if all(isinstance(one, dict) and {*key} <= one.keys() for one in items)),
        None,
    )


def identity(item: Object, key: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item.get(one) for one in key)


def without_empty(value: Any, field: str = "") -> Any:
    """Leave out maps and lists that are empty, as a server that reads objects into its own types does."""
    if isinstance(value, dict):
        cleaned = {key: without_empty(one, key) for key, one in value.items()}
        return {key: one for key, one in cleaned.items() if one or not (key in MAPS or isinstance(one, list))}
    return [without_empty(one) for one in value] if isinstance(value, list) else value


def entry_of(manager: str, said: Object) -> Object:
    """Write what a manager applies as an entry of `managedFields`."""
    metadata = {key: one for key, one in said["metadata"].items() if key != "name"}
    fields = _fields(
        {key: one for key, one in said.items() if key not in {"apiVersion", "kind"}} | {"metadata": metadata}
    )
    return {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": said["apiVersion"],
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }


def entries_of(said: dict[str, Object], live: Object | None) -> list[Object]:
    """Write who applied what; what is still said as before is dated as before."""
    before = [] if live is None else live["metadata"]["managedFields"]
    dates = {(one["manager"], json.dumps(one["fieldsV1"])): one["time"] for one in before}
    made = [entry_of(who, what) for who, what in said.items()]
    return [one | {"time": dates.get((one["manager"], json.dumps(one["fieldsV1"])), one["time"])} for one in made]


def _fields(value: Any, field: str = "") -> Object:
    if isinstance(value, dict):
        return {f"f:{key}": _fields(one, key) for key, one in value.items()}
    if isinstance(value, list) and value and (key := key_of(value, field)):
        return {
            f"k:{json.dumps({by: one[by] for by in key})}": {".": {}} | _fields(one)
            for one in value
        }  # fmt: skip
    return {}


def kept(said: Any, before: Any, after: Any, field: str = "") -> Any:
    """Leave of what a manager said only what still stands as it did: what somebody else writes becomes theirs."""
    if isinstance(said, dict) and isinstance(before, dict) and isinstance(after, dict):
        return {
            key: kept(one, before.get(key), after.get(key), key)
            for key, one in said.items()
            if key in NAMES or (key in after and (_has_parts(one, key) or before.get(key) == after[key]))
        }
    if isinstance(said, list) and isinstance(after, list) and (key := key_of(said, field)):
        old, new = ({identity(one, key): one for one in items} for items in (before, after))
        return [kept(one, old.get(it), new[it]) for one in said if (it := identity(one, key)) in new]
    return said


def _has_parts(value: Any, field: str) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and key_of(value, field) is not None)
