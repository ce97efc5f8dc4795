"""What skills did in some stretch of time: as `buckets`, with sums in the place of distributions."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from metrics_query.domain.increments import Track
from metrics_query.domain.ledgers import MINUTES, NO_TRACK, Ledger, attributed
from metrics_query.domain.measures import bounded
from metrics_query.domain.minutes import SkillMinute

Rows = Mapping[str, Mapping[int, SkillMinute]]
"""Skill rows by name, then minute."""


class SkillBucket(Struct, frozen=True, kw_only=True):
    """What one skill did; `latency` is the sum, in microseconds, of `n` response times, revenue in millionths."""

    calls: int = 0
    revenue: int = 0
    errors: int = 0
    n: int = 0
    latency: int = 0


NO_SKILL = SkillBucket()
Skills = dict[str, SkillBucket]


def skills_together(parts: Iterable[Mapping[str, SkillBucket]]) -> Skills:
    """Add the buckets of each skill; they must not overlap."""
    by_name: dict[str, list[SkillBucket]] = {}
    for skills in parts:
        for name, bucket in skills.items():
            by_name.setdefault(name, []).append(bucket)
    return {
        name: SkillBucket(
            calls=sum(each.calls for each in buckets),
            revenue=sum(each.revenue for each in buckets),
            errors=sum(each.errors for each in buckets),
            n=sum(each.n for each in buckets),
            latency=bounded(sum(each.latency for each in buckets)),
        )
        for name, buckets in by_name.items()
    }


def skills_of(hour: int, rows: Rows, ledger: Ledger, after: Ledger, *, start: int = 0, end: int = 2**62) -> Skills:
    """Make the buckets of an hour.

    Args:
        hour: Hours since 1970.
        rows: The skill rows of that hour.
        ledger: The hour's own.
        after: The next hour's.
        start: The first minute that counts.
        end: The first that does not count any more.
    """
    made = {}
    for name in rows.keys() | ledger.calls.keys() | after.calls.keys():
        told = {minute: row for minute, row in rows.get(name, {}).items() if start <= minute < end}
        calls = attributed(hour, ledger.calls.get(name, NO_TRACK), after.calls.get(name, NO_TRACK))
        earned = attributed(hour, ledger.earned.get(name, NO_TRACK), after.earned.get(name, NO_TRACK))
        n, latency = _latency(told, ledger.calls.get(name, NO_TRACK))
        made[name] = SkillBucket(
            calls=sum(gain for minute, gain in calls.items() if start <= minute < end),
            revenue=sum(gain for minute, gain in earned.items() if start <= minute < end),
            errors=sum(row.errors for row in told.values()),
            n=n,
            latency=latency,
        )
    return {name: bucket for name, bucket in made.items() if bucket != NO_SKILL}


def _latency(rows: Mapping[int, SkillMinute], track: Track) -> tuple[int, int]:
    """Let each minute's means weigh as much as the calls gained by its update, and at least one each."""
    gains = track.gains
    weights = {minute: max(row.n, gains.get(minute % MINUTES, 0)) for minute, row in rows.items() if row.n}
    total = sum(rows[minute].latency * weight // rows[minute].n for minute, weight in weights.items())
    return sum(weights.values()), bounded(total)
