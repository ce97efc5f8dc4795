"""Charts: the points of a window, metric by metric."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from metrics_query.domain.buckets import Bucket, minute_buckets
from metrics_query.domain.ledgers import NO_LEDGER, Ledger
from metrics_query.domain.minutes import Minute
from metrics_query.domain.periods import DAY, HOUR, Window
from metrics_query.domain.series import Metric, Totals, counted, filled, points
from metrics_query.repositories.ledgers import LedgerRepository
from metrics_query.repositories.series import SeriesRepository
from metrics_query.usecases.recounts import Recount
from shoal.database import Database, Transaction

Points = list[tuple[int, Bucket]]
"""Starts of points, in minutes since 1970, with what each says of the metric asked for."""


class Chart(Protocol):
    """The points of a window."""

    @property
    def totals(self) -> Totals:
        """What the window comes to."""
        ...

    def points(self, metric: Metric) -> AsyncIterator[Points]:
        """Read the points of a metric, in pieces of bounded size."""
        ...


class CoarseChart:
    """Points of hours and days, all in memory."""

    def __init__(self, window: Window, rows: Mapping[int, Bucket], *, since: int) -> None:
        self._window = window
        self._rows = rows
        self._since = since
        self.totals = Totals.of(rows.values())

    async def points(self, metric: Metric) -> AsyncIterator[Points]:
        """Read the points of a metric."""
        yield filled(self._window, self._rows, since=self._since) if metric.is_counted else list(self._rows.items())


class FineChart:
    """Points of minutes, made a day at a time: increments of the ledgers, the rest of minute rows."""

    def __init__(
        self,
        database: Database,
        source: int,
        window: Window,
        ledgers: Mapping[int, Ledger],
        *,
        since: int,
        totals: Totals,
    ) -> None:
        self._database = database
        self._source = source
        self._window = window
        self._ledgers = ledgers
        self._since = since
        self.totals = totals

    @classmethod
    async def open(
        cls, database: Database, tx: Transaction, source: int, window: Window, changed: Recount, *, since: int
    ) -> "FineChart":
        """Read what charts of minutes need in advance: ledgers, and the sums of the window."""
        first, end = window.start // HOUR, -(-window.end // HOUR)
        ledgers = await LedgerRepository(tx).between(source, first, end + 1) | changed.ledgers
        totals = await _totals(tx, source, window, ledgers, changed)
        return cls(database, source, window, ledgers, since=since, totals=totals)

    async def points(self, metric: Metric) -> AsyncIterator[Points]:
        """Read the points of a metric, a day at a time."""
        for day in range(self._window.start // DAY, -(-self._window.end // DAY)):
            part = self._window.within(day * DAY, (day + 1) * DAY)
            if metric.is_counted:
                await asyncio.sleep(0)
                buckets = counted(metric, part, self._ledgers)
                yield filled(part, points(part, buckets), since=self._since)
            else:
                async with self._database.reading() as tx:
                    buckets = await _read(tx, metric, self._source, part, self._ledgers)
                yield list(points(part, buckets).items())


async def _read(
    tx: Transaction, metric: Metric, source: int, window: Window, ledgers: Mapping[int, Ledger]
) -> dict[int, Bucket]:
    """Make minutes' buckets that hold one metric; whole hours are read, for what counts depends on all of one."""
    series = SeriesRepository(tx)
    read = {
        Metric.LATENCY: series.latencies,
        Metric.SESSIONS: series.sessions,
        Metric.MEMORY: series.memory,
        Metric.CPU: series.cpu,
    }[metric]
    by_hour: dict[int, dict[int, Minute]] = {}
    for minute, row in (await read(source, window.start // HOUR * HOUR, -(-window.end // HOUR) * HOUR)).items():
        by_hour.setdefault(minute // HOUR, {})[minute] = row
    return {
        minute: bucket
        for hour, rows in by_hour.items()
        for minute, bucket in minute_buckets(rows, ledgers.get(hour, NO_LEDGER)).items()
    }


async def _totals(
    tx: Transaction, source: int, window: Window, ledgers: Mapping[int, Ledger], changed: Recount
) -> Totals:
    """Sum up a window: the part of its first hour by minutes, the others by hours."""
    whole = -(-window.start // HOUR) * HOUR
    hours = await SeriesRepository(tx).hours(source, whole, window.end)
    hours |= {start: Totals.of([bucket]) for start, bucket in changed.hours.items() if whole <= start < window.end}
    if whole == window.start:
        return Totals.sum(hours.values())
    part = window.within(window.start, whole)
    latencies = await _read(tx, Metric.LATENCY, source, part, ledgers)
    minutes = [counted(metric, part, ledgers) for metric in Metric if metric.is_counted]
    first = [bucket for buckets in (latencies, *minutes) for bucket in points(part, buckets).values()]
    return Totals.sum([*hours.values(), Totals.of(first)])
