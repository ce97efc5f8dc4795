"""Buckets: what an agent did in some stretch of time, be it a minute, five, an hour or a day.

In each hour, response times are those that were measured one by one, if there are any; otherwise the
reported means stand in for them, each minute's means weighing as much as the messages gained by its update,
and at least one each.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from metrics_query.domain.gauges import NO_READINGS, Gauge
from metrics_query.domain.latencies import NO_RESPONSES, Latency, merged
from metrics_query.domain.ledgers import MINUTES, Ledger, attributed
from metrics_query.domain.minutes import Minute


class Counts(Struct, frozen=True, gc=False):
    """Increments of some stretch of time; revenue in millionths."""

    messages: int = 0
    errors: int = 0
    revenue: int = 0
    tokens: int = 0


class Bucket(Struct, frozen=True, kw_only=True, gc=False):
    """What one agent did; `measured` tells how many of the response times were measured one by one."""

    messages: int = 0
    errors: int = 0
    revenue: int = 0
    tokens: int = 0
    latency: Latency = NO_RESPONSES
    measured: int = 0
    sessions: Gauge = NO_READINGS
    memory: Gauge = NO_READINGS
    cpu: Gauge = NO_READINGS

    def with_counts(self, counts: Counts) -> "Bucket":
        """Give the same bucket with other increments."""
        return Bucket(
            messages=counts.messages,
            errors=counts.errors,
            revenue=counts.revenue,
            tokens=counts.tokens,
            latency=self.latency,
            measured=self.measured,
            sessions=self.sessions,
            memory=self.memory,
            cpu=self.cpu,
        )


NOTHING = Bucket()


def together(buckets: Iterable[Bucket]) -> Bucket:
    """Add buckets of one agent that do not overlap."""
    parts = list(buckets)
    if len(parts) == 1:
        return parts[0]
    return Bucket(
        messages=sum(part.messages for part in parts),
        errors=sum(part.errors for part in parts),
        revenue=sum(part.revenue for part in parts),
        tokens=sum(part.tokens for part in parts),
        latency=merged(part.latency for part in parts),
        measured=sum(part.measured for part in parts),
        sessions=_gauges(part.sessions for part in parts),
        memory=_gauges(part.memory for part in parts),
        cpu=_gauges(part.cpu for part in parts),
    )


def minute_buckets(minutes: Mapping[int, Minute], ledger: Ledger) -> dict[int, Bucket]:
    """Make the buckets of one hour's minutes, without increments, which may come from the next hour too."""
    is_measured = any(row.measured.cnt for row in minutes.values())
    gains = ledger.messages.gains
    return {
        minute: Bucket(
            latency=row.measured if is_measured else _weighed(row.averaged, gains.get(minute % MINUTES, 0)),
            measured=row.measured.n,
            sessions=row.sessions,
            memory=row.memory,
            cpu=row.cpu,
        )
        for minute, row in minutes.items()
    }


def hour_counts(hour: int, ledger: Ledger, after: Ledger) -> Counts:
    """Tell the increments of an hour, by its own and the next hour's updates."""
    return Counts(
        sum(attributed(hour, ledger.messages, after.messages).values()),
        sum(attributed(hour, ledger.errors, after.errors).values()),
        sum(attributed(hour, ledger.revenue, after.revenue).values()),
        sum(attributed(hour, ledger.tokens, after.tokens).values()),
    )


def _weighed(averaged: Latency, gain: int) -> Latency:
    return averaged.weighed(max(averaged.n, gain))


def _gauges(parts: Iterable[Gauge]) -> Gauge:
    result = NO_READINGS
    for part in parts:
        result = result.merge(part)
    return result
