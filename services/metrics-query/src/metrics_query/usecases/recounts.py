"""What changed minute rows make of ledgers, hours and days: for the job that stores it and for questions in between."""

import heapq
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from metrics_query.domain.buckets import (
    NOTHING,
    Bucket,
    hour_counts,
    minute_buckets,
    together,
)
from metrics_query.domain.ledgers import NO_LEDGER, Ledger, keep
from metrics_query.domain.minutes import Minute, SkillMinute
from metrics_query.domain.periods import DAY, HOUR, Grain
from metrics_query.domain.skills import Skills, skills_of, skills_together
from metrics_query.repositories.buckets import BucketRepository
from metrics_query.repositories.ledgers import LedgerRepository
from metrics_query.repositories.minutes import MinuteRepository
from metrics_query.repositories.sources import SourceRepository
from shoal.database import Transaction


class Recount(Struct, frozen=True):
    """What differs from what is stored: ledgers by hour, hours by the minute they start with."""

    ledgers: dict[int, Ledger]
    hours: dict[int, Bucket]
    skills: dict[int, Skills]


UNCHANGED = Recount({}, {}, {})


async def recount(tx: Transaction, source: int, *, with_skills: bool = True) -> Recount:
    """Redo a source's dirty hours, and after them whatever depends on what came out."""
    dirty = await SourceRepository(tx).dirty(source)
    if not dirty:
        return UNCHANGED
    known = await LedgerRepository(tx).around(source, dirty[0])
    rows = _Rows(tx, source)
    await rows.read(dirty[0], dirty[-1] + 1)
    redone: dict[int, Ledger] = {}
    ahead = list(dirty)
    while ahead:
        hour = heapq.heappop(ahead)
        before = max((each for each in known if each < hour), default=None)
        minutes, skills = await rows.of(hour)
        state = NO_LEDGER if before is None else known[before]
        redone[hour] = keep(hour, minutes, skills, before=state, is_next=before == hour - 1)
        if redone[hour] != known.get(hour):
            after = min((each for each in known if each > hour), default=None)
            if after is not None and after not in ahead:
                heapq.heappush(ahead, after)
        known[hour] = redone[hour]
    touched = sorted(redone.keys() | {hour - 1 for hour in redone})
    hours = await _hours(tx, source, touched, redone, known, rows)
    if not with_skills:
        return Recount(redone, hours, {})
    return Recount(redone, hours, await _skills(tx, source, touched, redone, known, rows))


async def _hours(
    tx: Transaction,
    source: int,
    touched: Sequence[int],
    redone: Mapping[int, Ledger],
    known: Mapping[int, Ledger],
    rows: "_Rows",
) -> dict[int, Bucket]:
    """Make the hours that follow from ledgers: their own, and those before, into which gains reach."""
    stored = await BucketRepository(tx).between(Grain.HOUR, source, touched[0] * HOUR, (touched[-1] + 1) * HOUR)
    hours = {}
    for hour in touched:
        own, after = known.get(hour, NO_LEDGER), known.get(hour + 1, NO_LEDGER)
        there = stored.get(hour * HOUR, NOTHING)
        told = together(minute_buckets((await rows.of(hour))[0], own).values()) if hour in redone else there
        bucket = told.with_counts(hour_counts(hour, own, after))
        if bucket != there:
            hours[hour * HOUR] = bucket
    return hours


async def _skills(
    tx: Transaction,
    source: int,
    touched: Sequence[int],
    redone: Mapping[int, Ledger],
    known: Mapping[int, Ledger],
    rows: "_Rows",
) -> dict[int, Skills]:
    """Make the skills' part of the same hours."""
    stored = await BucketRepository(tx).skills_between(Grain.HOUR, source, touched[0] * HOUR, (touched[-1] + 1) * HOUR)
    hours = {}
    for hour in touched:
        own, after = known.get(hour, NO_LEDGER), known.get(hour + 1, NO_LEDGER)
        if hour in redone or after.calls:
            skills = skills_of(hour, (await rows.of(hour))[1], own, after)
            if skills != stored.get(hour * HOUR, {}):
                hours[hour * HOUR] = skills
    return hours


async def recounted_days(tx: Transaction, source: int, changed: Recount) -> dict[int, Bucket]:
    """Make the days that changed hours belong to."""
    days: dict[int, Bucket] = {}
    for start in _days(changed.hours):
        hours = await BucketRepository(tx).between(Grain.HOUR, source, start, start + DAY)
        hours |= {hour: bucket for hour, bucket in changed.hours.items() if start <= hour < start + DAY}
        days[start] = together(hours.values())
    return days


async def recounted_skill_days(tx: Transaction, source: int, changed: Recount) -> dict[int, Skills]:
    """Make the days that changed hours of skills belong to."""
    days: dict[int, Skills] = {}
    for start in _days(changed.skills):
        hours = await BucketRepository(tx).skills_between(Grain.HOUR, source, start, start + DAY)
        hours |= {hour: skills for hour, skills in changed.skills.items() if start <= hour < start + DAY}
        days[start] = skills_together(hours.values())
    return days


def _days(starts: Iterable[int]) -> list[int]:
    return sorted({start - start % DAY for start in starts})


class _Rows:
    """A source's minute rows by hour, read once."""

    def __init__(self, tx: Transaction, source: int) -> None:
        self._repository = MinuteRepository(tx)
        self._source = source
        self._read: set[int] = set()
        self._minutes: dict[int, dict[int, Minute]] = {}
        self._skills: dict[int, dict[str, dict[int, SkillMinute]]] = {}

    async def read(self, first: int, end: int) -> None:
        minutes = await self._repository.between(self._source, first * HOUR, end * HOUR)
        skills = await self._repository.skills_between(self._source, first * HOUR, end * HOUR)
        for minute, row in minutes.items():
            self._minutes.setdefault(minute // HOUR, {})[minute] = row
        for (minute, name), told in skills.items():
            self._skills.setdefault(minute // HOUR, {}).setdefault(name, {})[minute] = told
        self._read |= set(range(first, end))

    async def of(self, hour: int) -> tuple[dict[int, Minute], dict[str, dict[int, SkillMinute]]]:
        if hour not in self._read:
            await self.read(hour, hour + 1)
        return self._minutes.get(hour, {}), self._skills.get(hour, {})
