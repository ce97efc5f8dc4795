"""Tier 1: work that plain code does, exactly, at once and for nothing.

A registry of pure functions from text to text. Each either does its work right or raises `NotForBoosterError`, upon
which a model gets it; none guesses.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from agent_runtime.delegation.domain.booster.formats import FORMATS
from agent_runtime.delegation.domain.booster.reckoning import RECKONING
from agent_runtime.delegation.domain.booster.refusal import NotForBoosterError
from agent_runtime.delegation.domain.booster.texts import TEXTS

MAX_BYTES = 64 * 1024

TRANSFORMS: Mapping[str, Callable[[str], str]] = MappingProxyType({**FORMATS, **TEXTS, **RECKONING})
"""What there is, by the name of the work."""


def boost(tool_name: str, task: str) -> str:
    """Do some work.

    Raises:
        NotForBoosterError: It is not of a kind that plain code does, or this task is not.
    """
    transform = TRANSFORMS.get(tool_name)
    if transform is None:
        raise NotForBoosterError(f"there is no transform {tool_name!r}")
    if len(task.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise NotForBoosterError(f"more than {MAX_BYTES} bytes")
    try:
        return transform(task)
    except (RecursionError, MemoryError):
        raise NotForBoosterError("too deep") from None


__all__ = ["MAX_BYTES", "TRANSFORMS", "NotForBoosterError", "boost"]
