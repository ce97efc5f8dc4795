"""Whether an object is as we say; what the cluster or others add to it is not ours."""

from typing import Any

from instance_orchestrator.domain.quantities import parse

KEYS = ("name", "mountPath", "containerPort", "port", "key")
"""By which of its fields an item of a list is known."""
QUANTITIES = frozenset({"cpu", "memory", "storage", "sizeLimit"})


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
