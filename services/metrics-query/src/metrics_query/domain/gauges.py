"""Gauges: over some time (how often read; sum, lowest and highest of the readings), and as an agent read them last."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from metrics_query.domain.measures import bounded


class Gauge(Struct, frozen=True, gc=False):
    """Readings of one gauge, in thousandths.

    Merging is commutative and associative, `NO_READINGS` its zero.
    """

    n: int = 0
    total: int = 0
    low: int | None = None
    high: int | None = None

    @classmethod
    def of(cls, values: Sequence[int]) -> "Gauge":
        """Gather readings."""
        return cls(len(values), sum(values), min(values), max(values)) if values else NO_READINGS

    def merge(self, other: "Gauge") -> "Gauge":
        """Gather the readings of both."""
        if self.low is None or self.high is None:
            return other
        if other.low is None or other.high is None:
            return self
        total = bounded(self.total + other.total)
        return Gauge(self.n + other.n, total, min(self.low, other.low), max(self.high, other.high))


NO_READINGS = Gauge()


class Present(Struct, frozen=True):
    """An agent's latest minute: its reading, and means of its gauges in thousandths."""

    source: int
    minute: datetime
    messages_1h: int | None
    messages_24h: int | None
    uptime_s: int | None
    sessions: float | None
    memory: float | None
    cpu: float | None
