"""What the clock asks for."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from metrics_query.usecases.agents import Agents
from metrics_query.usecases.retention import Retention
from metrics_query.usecases.rollups import Rollups

TOMBSTONES_KEPT = timedelta(days=30)
"""Longer than any fact of a pairing can be on its way."""


def roll_up(rollups: Rollups, *, at_least: timedelta) -> Callable[[], Awaitable[None]]:
    """Roll up what changed."""

    async def act() -> None:
        await rollups.roll_all(at_least=at_least)

    return act


def keep(retention: Retention, agents: Agents) -> Callable[[], Awaitable[None]]:
    """Apply the policy of what is kept, and erase closed accounts."""

    async def act() -> None:
        await retention.apply()
        await agents.erase(tombstones_kept=TOMBSTONES_KEPT)

    return act
