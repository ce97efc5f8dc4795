"""A gauge over some time: how often it was read, and the sum, the lowest and the highest of the readings."""

from collections.abc import Sequence

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
