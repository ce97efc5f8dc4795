"""How much an account may have."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct


class Limits(Struct, frozen=True, kw_only=True):
    """What a plan allows; null is without limit. Nothing is counted yet by the three that speak of files."""

    max_agents: int | None = None
    max_connections: int | None = None
    max_pairings_per_connection: int | None = None
    transfers_per_month: int | None = None
    storage_bytes: int | None = None
    max_file_size: int | None = None


class Plans:
    """The plans of this installation."""

    def __init__(self, limits: Mapping[str, Limits], *, default: str) -> None:
        self._limits = dict(limits)
        self._default = default

    @classmethod
    def parse(cls, text: str, *, default: str) -> "Plans":
        """Read a JSON object from plan to limits; what is unknown belongs to other services.

        Raises:
            ValueError: It is no such object, or lacks the default plan.
        """
        limits = msgspec.json.decode(text, type=dict[str, Limits])
        if default not in limits:
            raise ValueError(f"the default plan {default!r} is not among the plans")
        return cls(limits, default=default)

    def name_of(self, plan: str) -> str:
        """Name the plan that applies; an unknown one is the default."""
        return plan if plan in self._limits else self._default

    def of(self, plan: str) -> Limits:
        """Tell what a plan allows."""
        return self._limits[self.name_of(plan)]


def reaches(count: int, limit: int | None) -> bool:
    """Tell whether so many are as many as there may be."""
    return limit is not None and count >= limit
