"""Whether an object is as we say; what the cluster or others add to it is not ours."""

import json
from typing import Any

from instance_orchestrator.domain.quantities import parse

KEYS = ("name", "mountPath", "containerPort", "port", "key")
"""By which of its fields an item of a list is known."""
QUANTITIES = frozenset({"cpu", "memory", "storage", "sizeLimit"})

Object = dict[str, Any]


def is_as_wanted(live: Object, wanted: Object, manager: str) -> bool:
    """Tell whether everything that is wanted is there, and nothing else that the manager once applied."""
    return covers(live, wanted) and not any(
        _says_more(entry.get("fieldsV1", {}), wanted)
        for entry in live["metadata"].get("managedFields", [])
        if (entry["manager"], entry["operation"]) == (manager, "Apply")
    )


def covers(live: Any, wanted: Any, field: str = "") -> bool:
    """Tell whether everything that is wanted is there."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(
            key in live and covers(live[key], value, key) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(live, list) and _covers_items(live, wanted)
    if field in QUANTITIES and isinstance(live, str):
        return parse(live) == parse(wanted)
    return bool(live == wanted)


def _covers_items(live: list[Any], wanted: list[Any]) -> bool:
    known_by = _known_by(wanted)
    if known_by is None:
        return len(live) == len(wanted) and all(map(covers, live, wanted))
    there = {one.get(known_by): one for one in live}
    return all(one[known_by] in there and covers(there[one[known_by]], one) for one in wanted)


def _known_by(items: list[Any]) -> str | None:
    for key in KEYS if items else ():
        if all(isinstance(one, dict) and key in one for one in items):
            return key
    return None


def _says_more(fields: Object, wanted: Any) -> bool:
    """Tell whether fields (FieldsV1 of `managedFields`) name something that is not wanted."""
    return any(
        (part := _part(wanted, name)) is None or _says_more(inner, part)
        for name, inner in fields.items()
        if name != "."  # the item itself
    )


def _part(wanted: Any, name: str) -> Any:
    """Find what a field's name points to: `f:` a key, `k:` the item with these keys, `v:` the item itself."""
    kind, _, key = name.partition(":")
    if kind == "f":
        return wanted.get(key) if isinstance(wanted, dict) else None
    if not isinstance(wanted, list):
        return None
    known = json.loads(key)
    if kind == "k":
        return next((one for one in wanted if all(one.get(by, it) == it for by, it in known.items())), None)
    return known if known in wanted else None
