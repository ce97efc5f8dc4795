"""What is charted, and what a stretch of time comes to."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

from msgspec import Struct

from metrics_query.domain.buckets import NOTHING, Bucket, together
from metrics_query.domain.increments import Track
from metrics_query.domain.ledgers import MINUTES, NO_LEDGER, Ledger, attributed
from metrics_query.domain.measures import money, number
from metrics_query.domain.periods import Window


class Metric(StrEnum):
    """The contract's metrics, and `tokens`, in the order in which they are answered."""

    MESSAGES = "messages"
    LATENCY = "latency"
    ERRORS = "errors"
    REVENUE = "revenue"
    SESSIONS = "sessions"
    MEMORY = "memory"
    CPU = "cpu"
    TOKENS = "tokens"

    @property
    def is_counted(self) -> bool:
        """Whether nothing heard means zero, once the agent is known; of the others, nothing is said then."""
        return self in {Metric.MESSAGES, Metric.ERRORS, Metric.REVENUE, Metric.TOKENS}


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
    tokens: int = 0
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
                tokens=bucket.tokens,
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
            tokens=sum(part.tokens for part in each),
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


def filled(window: Window, rows: Mapping[int, Bucket], *, since: int) -> list[tuple[int, Bucket]]:
    """List the points of a counted metric: from a minute on all of them, before that those that there are."""
    known = min([since, *rows])
    return [(start, rows.get(start, NOTHING)) for start in window.starts(since=known)]


def counted(metric: Metric, window: Window, ledgers: Mapping[int, Ledger]) -> dict[int, Bucket]:
    """Make buckets of a window's minutes that hold the increments of one metric."""
    track_of, bucket_of = _COUNTED[metric]
    return {
        minute: bucket_of(increment)
        for hour in range(window.start // MINUTES, -(-window.end // MINUTES))
        for minute, increment in attributed(
            hour, track_of(ledgers.get(hour, NO_LEDGER)), track_of(ledgers.get(hour + 1, NO_LEDGER))
        ).items()
    }


_COUNTED: Mapping[Metric, tuple[Callable[[Ledger], Track], Callable[[int], Bucket]]] = {
    Metric.MESSAGES: (lambda ledger: ledger.messages, lambda increment: Bucket(messages=increment)),
    Metric.ERRORS: (lambda ledger: ledger.errors, lambda increment: Bucket(errors=increment)),
    Metric.REVENUE: (lambda ledger: ledger.revenue, lambda increment: Bucket(revenue=increment)),
    Metric.TOKENS: (lambda ledger: ledger.tokens, lambda increment: Bucket(tokens=increment)),
}
