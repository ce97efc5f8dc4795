"""Charts: the points of a window, metric by metric."""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from metrics_query.domain.buckets import NOTHING, Bucket, Counts, minute_buckets, minute_counts
from metrics_query.domain.ledgers import NO_LEDGER, Ledger
from metrics_query.domain.minutes import Minute
from metrics_query.domain.periods import DAY, HOUR, Window
from metrics_query.domain.series import Metric, Totals, counted_points, points
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
        self._since = min([since, *rows])
        self.totals = Totals.of(rows.values())

    async def points(self, metric: Metric) -> AsyncIterator[Points]:
        """Read the points of a metric."""
        yield _filled(self._window, self._rows, since=self._since) if metric.is_counted else list(self._rows.items())


class FineChart:
    """Points of minutes: increments from the ledgers, in memory; the rest from minute rows, a day at a time."""

    def __init__(
        self,
        database: Database,
        source: int,
        window: Window,
        ledgers: Mapping[int, Ledger],
        *,
        since: int,
        counts: Mapping[int, Counts],
        totals: Totals,
    ) -> None:
        self._database = database
        self._source = source
        self._window = window
        self._ledgers = ledgers
        self._counted = counted_points(window, counts)
        self._since = min([since, *self._counted])
        self.totals = totals

    @classmethod
    async def open(
        cls, database: Database, tx: Transaction, source: int, window: Window, changed: Recount, *, since: int
    ) -> "FineChart":
        """Read what charts of minutes need in advance: ledgers, and the sums of the window."""
        first, end = window.start // HOUR, -(-window.end // HOUR)
        ledgers = await LedgerRepository(tx).between(source, first, end + 1) | changed.ledgers
        counts: dict[int, Counts] = {}
        for hour in range(first, end):
            counts |= minute_counts(hour, ledgers.get(hour, NO_LEDGER), ledgers.get(hour + 1, NO_LEDGER))
        within = [each for minute, each in counts.items() if window.start <= minute < window.end]
        n, latency, measured = await _latency(tx, source, window, ledgers, changed)
        totals = Totals(
            messages=sum(each.messages for each in within),
            errors=sum(each.errors for each in within),
            revenue=sum(each.revenue for each in within),
            n=n,
            latency=latency,
            measured=measured,
        )
        return cls(database, source, window, ledgers, since=since, counts=counts, totals=totals)

    async def points(self, metric: Metric) -> AsyncIterator[Points]:
        """Read the points of a metric, a day at a time."""
        if metric.is_counted:
            yield _filled(self._window, self._counted, since=self._since)
            return
        for day in range(self._window.start // DAY, -(-self._window.end // DAY)):
            start, end = max(day * DAY, self._window.start), min((day + 1) * DAY, self._window.end)
            async with self._database.reading() as tx:
                buckets = await _buckets(tx, metric, self._source, start, end, self._ledgers)
            yield list(points(self._window, buckets).items())


def _filled(window: Window, rows: Mapping[int, Bucket], *, since: int) -> Points:
    return [(start, rows.get(start, NOTHING)) for start in window.starts(since=since)]


async def _buckets(
    tx: Transaction, metric: Metric, source: int, start: int, end: int, ledgers: Mapping[int, Ledger]
) -> dict[int, Bucket]:
    """Make minutes' buckets that hold one metric; whole hours are read, for what counts depends on all of one."""
    first, last = start // HOUR * HOUR, -(-end // HOUR) * HOUR
    series = SeriesRepository(tx)
    read = {
        Metric.LATENCY: series.latencies,
        Metric.SESSIONS: series.sessions,
        Metric.MEMORY: series.memory,
        Metric.CPU: series.cpu,
    }[metric]
    by_hour: dict[int, dict[int, Minute]] = {}
    for minute, row in (await read(source, first, last)).items():
        by_hour.setdefault(minute // HOUR, {})[minute] = row
    return {
        minute: bucket
        for hour, rows in by_hour.items()
        for minute, bucket in minute_buckets(rows, ledgers.get(hour, NO_LEDGER)).items()
        if start <= minute < end
    }


async def _latency(
    tx: Transaction, source: int, window: Window, ledgers: Mapping[int, Ledger], changed: Recount
) -> tuple[int, int, int]:
    """Sum up response times: of the first hour's part by minutes, of the rest by hours."""
    whole = -(-window.start // HOUR) * HOUR
    totals = await SeriesRepository(tx).hour_latencies(source, whole, window.end)
    totals |= {start: Totals.of([bucket]) for start, bucket in changed.hours.items() if whole <= start < window.end}
    part = await _buckets(tx, Metric.LATENCY, source, window.start, whole, ledgers) if whole > window.start else {}
    sums = [*totals.values(), Totals.of(part.values())]
    return sum(each.n for each in sums), sum(each.latency for each in sums), sum(each.measured for each in sums)
