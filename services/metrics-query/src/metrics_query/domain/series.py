"""What is charted, and what a stretch of time comes to."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from msgspec import Struct

from metrics_query.domain.buckets import Bucket, Counts, together
from metrics_query.domain.measures import money, number
from metrics_query.domain.periods import Window


class Metric(StrEnum):
    """The contract's metrics, in the order in which they are answered."""

    MESSAGES = "messages"
    LATENCY = "latency"
    ERRORS = "errors"
    REVENUE = "revenue"
    SESSIONS = "sessions"
    MEMORY = "memory"
    CPU = "cpu"

    @property
    def is_counted(self) -> bool:
        """Whether nothing heard means zero, once the agent is known; of the others, nothing is said then."""
        return self in {Metric.MESSAGES, Metric.ERRORS, Metric.REVENUE}


class LatencySource(StrEnum):
    """What response times stand on."""

    NONE = "none"
    AVERAGES = "averages"
    RESPONSES = "responses"
    MIXED = "mixed"


class Totals(Struct, frozen=True, kw_only=True):
    """Sums over some time; `latency` is the sum, in microseconds, of `n` response times."""

    messages: int = 0
    errors: int = 0
    revenue: int = 0
    n: int = 0
    latency: int = 0
    measured: int = 0

    @classmethod
    def of(cls, buckets: Iterable[Bucket]) -> "Totals":
        """Add up buckets."""
        return cls.sum(
            cls(
                messages=bucket.messages,
                errors=bucket.errors,
                revenue=bucket.revenue,
                n=bucket.latency.n,
                latency=bucket.latency.total,
                measured=bucket.measured,
            )
            for bucket in buckets
        )

    @classmethod
    def sum(cls, parts: Iterable["Totals"]) -> "Totals":
        """Add up sums."""
        each = list(parts)
        return cls(
            messages=sum(part.messages for part in each),
            errors=sum(part.errors for part in each),
            revenue=sum(part.revenue for part in each),
            n=sum(part.n for part in each),
            latency=sum(part.latency for part in each),
            measured=sum(part.measured for part in each),
        )

    @property
    def error_rate(self) -> float:
        """Errors for each message, between 0 and 1; errors without messages are 1."""
        if not self.errors:
            return 0
        return number(min(1.0, self.errors / self.messages), 4) if self.messages else 1

    @property
    def avg_latency_ms(self) -> float:
        """The mean response time; 0 when there was none, which `latency_source` tells apart."""
        return number(self.latency / self.n / 1000) if self.n else 0

    @property
    def total_revenue(self) -> str:
        """The revenue as a decimal string."""
        return money(self.revenue)

    @property
    def latency_source(self) -> LatencySource:
        """What the response times stand on."""
        if not self.n:
            return LatencySource.NONE
        if not self.measured:
            return LatencySource.AVERAGES
        return LatencySource.RESPONSES if self.measured == self.n else LatencySource.MIXED


def points(window: Window, buckets: Mapping[int, Bucket]) -> dict[int, Bucket]:
    """Bring buckets together by the point of a window that they belong to; leaves out what lies outside."""
    grouped: dict[int, list[Bucket]] = {}
    for start, bucket in sorted(buckets.items()):
        if window.start <= start < window.end:
            grouped.setdefault(window.start_of(start), []).append(bucket)
    return {start: together(parts) for start, parts in grouped.items()}


def counted_points(window: Window, counts: Mapping[int, Counts]) -> dict[int, Bucket]:
    """Add up minutes' increments by the point of a window that they belong to."""
    sums: dict[int, tuple[int, int, int]] = {}
    for minute, each in counts.items():
        if window.start <= minute < window.end:
            start = window.start_of(minute)
            messages, errors, revenue = sums.get(start, (0, 0, 0))
            sums[start] = messages + each.messages, errors + each.errors, revenue + each.revenue
    return {start: Bucket(messages=m, errors=e, revenue=r) for start, (m, e, r) in sorted(sums.items())}
