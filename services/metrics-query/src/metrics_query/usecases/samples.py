"""Counting samples: each once, whatever batch brings it, however often."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, timedelta

from msgspec import Struct

from metrics_query.domain.minutes import Minute, SkillMinute, fold
from metrics_query.domain.seen import Ranges, extended, holds
from metrics_query.repositories.days import DayRepository
from metrics_query.repositories.minutes import MinuteKey, MinuteRepository, SkillKey
from metrics_query.repositories.sources import Agent, Epoch, Source, SourceRepository
from shoal.clock import Clock
from shoal.database import Database, Transaction
from shoal_events import Sample, TelemetryBatch

AHEAD = timedelta(minutes=10)
"""How far an agent's clock may be ahead: what ingest allows, and time on the way."""
AT_A_STRETCH = 500
"""How many samples are folded before the loop may do something else: a few milliseconds."""
DAY = timedelta(days=1)
HOUR_MINUTES = 60

Epochs = dict[str, list[Sample]]


class Counted(Struct, frozen=True):
    """How many samples were counted, were known before, or were too old or too new."""

    counted: int = 0
    seen: int = 0
    out_of_range: int = 0


class Samples:
    """Counts samples into minute rows.

    One transaction per call. It locks the sources in the order of their ids, so calls in other processes wait or go
    their own way, never deadlock; drops what `seen` knows; merges the rest into the minute rows; and extends `seen`.
    So a sample that comes again in whatever batch changes nothing, and a crash before the commit leaves nothing behind.
    Samples older than `seen` remembers are refused, or they might be counted twice.
    """

    def __init__(self, *, database: Database, clock: Clock, minutes_kept: timedelta) -> None:
        self._database = database
        self._clock = clock
        self._oldest = minutes_kept - DAY
        self._open_days: set[date] = set()

    async def count(self, batches: Iterable[TelemetryBatch]) -> Counted:
        """Count the samples of some batches.

        Raises:
            DatabaseUnavailableError: Nothing is known to be counted; count them again.
            UnstorableValueError: A name cannot be stored; no later attempt will do better.
        """
        groups, out_of_range = self._sorted(batches)
        if not groups:
            return Counted(out_of_range=out_of_range)
        await self._open({_day(sample) for epochs in groups.values() for some in epochs.values() for sample in some})
        outcome = None
        while outcome is None:
            async with self._database.transaction() as tx:
                sources = await SourceRepository(tx).lock(list(groups))
                missing = sorted(groups.keys() - sources.keys())
                if missing:
                    await SourceRepository(tx).insert(missing)
                else:
                    outcome = await self._count(tx, groups, sources)
        return Counted(outcome.counted, outcome.seen, out_of_range)

    async def _count(self, tx: Transaction, groups: Mapping[Agent, Epochs], sources: Mapping[Agent, Source]) -> Counted:
        repository = SourceRepository(tx)
        by_source = {sources[agent].id: epochs for agent, epochs in groups.items()}
        seen = await repository.seen([(source, epoch) for source, epochs in by_source.items() for epoch in epochs])
        new, now_seen = _only_new(by_source, seen)
        counted = sum(len(samples) for samples in new.values())
        if counted:
            minutes, skills = await _fold(new)
            await _merge(tx, minutes, skills)
            await repository.note_seen(now_seen)
            hours = {(source, minute // HOUR_MINUTES) for source, minute in minutes}
            await repository.mark_dirty(hours | {(source, minute // HOUR_MINUTES) for source, minute, _ in skills})
            await repository.widen(_spans(minutes.keys() | {(source, minute) for source, minute, _ in skills}))
        told = sum(len(samples) for epochs in by_source.values() for samples in epochs.values())
        return Counted(counted, told - counted)

    def _sorted(self, batches: Iterable[TelemetryBatch]) -> tuple[dict[Agent, Epochs], int]:
        """Bring together what belongs to one agent and epoch, without what is too old or ahead."""
        now = self._clock.now()
        oldest, newest, refused = now - self._oldest, now + AHEAD, 0
        groups: dict[Agent, Epochs] = {}
        for batch in batches:
            for group in batch.groups:
                good = [sample for sample in group.samples if oldest <= sample.at <= newest]
                refused += len(group.samples) - len(good)
                if good:
                    epochs = groups.setdefault((group.account_id, group.agent_id), {})
                    epochs.setdefault(group.epoch, []).extend(good)
        return groups, refused

    async def _open(self, days: set[date]) -> None:
        for day in sorted(days - self._open_days):
            async with self._database.transaction() as tx:
                await DayRepository(tx).open(day)
            self._open_days.add(day)


def _day(sample: Sample) -> date:
    return sample.at.astimezone(UTC).date()


def _only_new(
    by_source: Mapping[int, Epochs], seen: Mapping[Epoch, Ranges]
) -> tuple[dict[int, list[tuple[str, Sample]]], dict[Epoch, Ranges]]:
    """Leave out the samples that were seen; returns the others by source, and what is seen afterwards."""
    new: dict[int, list[tuple[str, Sample]]] = {}
    now_seen: dict[Epoch, Ranges] = {}
    for source, epochs in by_source.items():
        for epoch, samples in epochs.items():
            ranges = seen.get((source, epoch), ())
            fresh = {sample.seq: sample for sample in samples if not holds(ranges, sample.seq)}
            if fresh:
                new.setdefault(source, []).extend((epoch, sample) for sample in fresh.values())
                now_seen[source, epoch] = extended(ranges, fresh)
    return new, now_seen


async def _fold(
    new: Mapping[int, Sequence[tuple[str, Sample]]],
) -> tuple[dict[MinuteKey, Minute], dict[SkillKey, SkillMinute]]:
    """Fold source by source, letting questions in now and then."""
    since_pause = 0
    minutes: dict[MinuteKey, Minute] = {}
    skills: dict[SkillKey, SkillMinute] = {}
    for source, samples in new.items():
        folded = fold(samples)
        minutes |= {(source, minute): row for minute, row in folded.minutes.items()}
        skills |= {(source, minute, name): row for (minute, name), row in folded.skills.items()}
        since_pause += len(samples)
        if since_pause >= AT_A_STRETCH:
            since_pause = 0
            await asyncio.sleep(0)
    return minutes, skills


async def _merge(tx: Transaction, minutes: Mapping[MinuteKey, Minute], skills: Mapping[SkillKey, SkillMinute]) -> None:
    repository = MinuteRepository(tx)
    if minutes:
        there = await repository.take(list(minutes))
        await repository.put({key: there[key].merge(row) if key in there else row for key, row in minutes.items()})
    if skills:
        told = await repository.take_skills(list(skills))
        await repository.put_skills({key: told[key].merge(row) if key in told else row for key, row in skills.items()})


def _spans(keys: Iterable[MinuteKey]) -> dict[int, tuple[int, int]]:
    spans: dict[int, tuple[int, int]] = {}
    for source, minute in keys:
        low, high = spans.get(source, (minute, minute))
        spans[source] = (min(low, minute), max(high, minute))
    return spans
