"""The states of a connection, what is known of one, and the figures that are made of many."""

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from ssh_manager.ports import EventType, Instance, TunnelState

FIRST_PAUSE_S = 0.25
MAX_REFUSED_PAUSE_S = 30.0
"""Servers punish those who come again and again with a key that they do not know."""


class State(StrEnum):
    """What a connection is, in the contract's words."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    FAILED = "failed"


TRANSITIONS: Final[Mapping[State, frozenset[State]]] = MappingProxyType(
    {
        State.DISCONNECTED: frozenset({State.CONNECTING}),
        State.CONNECTING: frozenset({State.CONNECTED, State.RECONNECTING, State.FAILED, State.DISCONNECTED}),
        State.CONNECTED: frozenset({State.RECONNECTING, State.DISCONNECTED}),
        State.RECONNECTING: frozenset({State.CONNECTED, State.FAILED, State.DISCONNECTED}),
        State.FAILED: frozenset({State.CONNECTING, State.DISCONNECTED}),
    }
)
"""Which state may follow which. A first attempt that fails makes it reconnecting; what should be connected no longer is
disconnected."""


class Transition(Struct, frozen=True):
    """A change of a connection's state, and when it was."""

    instance_id: int
    from_state: State
    to_state: State
    at: datetime


class LinkEvent(Struct, frozen=True):
    """Something that happened to a connection, in words."""

    instance_id: int
    instance_name: str
    type: EventType
    details: str
    at: datetime


class Health(Struct, frozen=True, kw_only=True):
    """What is known of a connection's health; counts go on over reconnections."""

    connected_at: datetime | None = None
    checked_at: datetime | None = None
    is_healthy: bool = False
    successful_checks: int = 0
    failed_checks: int = 0
    reconnections: int = 0

    @property
    def checks(self) -> int:
        """How often it was checked."""
        return self.successful_checks + self.failed_checks

    def uptime_s(self, now: datetime) -> int:
        """For how many whole seconds it has been connected."""
        return 0 if self.connected_at is None else max(0, int((now - self.connected_at).total_seconds()))


class Snapshot(Struct, frozen=True, kw_only=True):
    """A connection as it is at one moment."""

    instance_id: int
    state: State = State.DISCONNECTED
    health: Health = Health()

    @property
    def has_health(self) -> bool:
        """Whether there is a connection to tell the health of, or one that is being made again."""
        return self.health.connected_at is not None and self.state not in {State.DISCONNECTED, State.FAILED}


class Tested(Struct, frozen=True, kw_only=True):
    """What a test found: `problem` says what went wrong, and is empty where nothing did."""

    latency_ms: int = 0
    has_run_command: bool = False
    tunnels: tuple[TunnelState, ...] = ()
    problem: str = ""


class LinkReport(Struct, frozen=True, kw_only=True):
    """Everything that is shown of one instance's connection."""

    instance: Instance
    link: Snapshot
    tunnels: Sequence[TunnelState]
    at: datetime


class Bucket(Struct, frozen=True):
    """How many connections have lasted how long."""

    label: str
    count: int


_BUCKETS: Final = (
    ("< 1h", timedelta(hours=1)),
    ("1\N{EN DASH}6h", timedelta(hours=6)),
    ("6\N{EN DASH}24h", timedelta(hours=24)),
    ("1\N{EN DASH}7d", timedelta(days=7)),
    ("> 7d", timedelta.max),
)


def uptime_buckets(reports: Sequence[LinkReport]) -> list[Bucket]:
    """Sort what is connected by how long it has been; every bucket is there, empty or not."""
    counts = [0] * len(_BUCKETS)
    for report in reports:
        if report.link.state is State.CONNECTED and report.link.health.connected_at is not None:
            lasted = report.at - report.link.health.connected_at
            counts[next(place for place, (_, most) in enumerate(_BUCKETS) if lasted < most)] += 1
    return [Bucket(label, count) for (label, _), count in zip(_BUCKETS, counts, strict=True)]


def pause_s(attempt: int, *, max_s: float) -> float:
    """Choose how long to wait after the n-th attempt in a row failed: doubling, and never quite the same."""
    return min(FIRST_PAUSE_S * 2.0 ** min(attempt - 1, 12), max_s) * random.uniform(0.6, 1.0)  # noqa: S311 - jitter


def is_worth_telling(attempt: int) -> bool:
    """Tell whether the n-th failure in a row is told: the first, second, fourth, eighth… of them are."""
    return attempt & (attempt - 1) == 0
