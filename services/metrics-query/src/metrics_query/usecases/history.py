"""What one agent did, for charts."""

from collections.abc import AsyncIterator, Sequence

from msgspec import Struct

from metrics_query.domain.buckets import Bucket
from metrics_query.domain.fleet import Agent
from metrics_query.domain.moments import to_minute
from metrics_query.domain.periods import Grain, Period, Resolution, Window, resolve, window
from metrics_query.domain.series import Metric, Totals, points
from metrics_query.errors import AgentNotFoundError
from metrics_query.repositories.agents import AgentRepository
from metrics_query.repositories.buckets import BucketRepository
from metrics_query.repositories.series import SeriesRepository
from metrics_query.usecases.charts import Chart, CoarseChart, FineChart, Points
from metrics_query.usecases.recounts import Recount, recount, recounted_days
from shoal.clock import Clock
from shoal.database import Database, Transaction

FRESH = 3
"""For how many minutes what an agent said of its last day is taken for now."""


class Answer(Struct, frozen=True):
    """A chart that can be read point by point, and what its whole time comes to."""

    agent_id: str
    period: Period
    resolution: Resolution
    metrics: Sequence[Metric]
    totals: Totals
    reported_messages: int | None
    """How many messages the agent itself counted in the period, where it said so."""
    chart: Chart

    def points(self, metric: Metric) -> AsyncIterator[Points]:
        """Read the points of a metric, in pieces of bounded size."""
        return self.chart.points(metric)


class History:
    """Answers what one agent did.

    Days and hours are read from their own rows; single minutes and fives from minute rows, a day at a time and only
    the columns of the metric asked for. What samples changed since the last roll-up is recounted on the spot, so
    an answer includes every sample that was counted before the question.
    """

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def ask(
        self, agent_id: str, *, account_id: str, period: Period, resolution: Resolution, metrics: Sequence[Metric]
    ) -> Answer:
        """Chart an agent's metrics.

        Raises:
            AgentNotFoundError: The account has no such agent.
        """
        now = to_minute(self._clock.now())
        span = window(period, resolution, now=now)
        async with self._database.reading() as tx:
            agent = await AgentRepository(tx).find(account_id, agent_id)
            if agent is None:
                raise AgentNotFoundError
            reported = None
            if period is Period.DAY and agent.source is not None:
                reported = await SeriesRepository(tx).reported_messages_24h(agent.source, since=now - FRESH)
            chart = await self._chart(tx, agent, span)
        return Answer(
            agent_id,
            period,
            resolve(period, resolution),
            metrics,
            chart.totals,
            reported,
            chart,
        )

    async def _chart(self, tx: Transaction, agent: Agent, span: Window) -> Chart:
        if agent.source is None or agent.first_minute is None:
            return CoarseChart(span, {}, since=span.end)
        since = to_minute(agent.first_minute)
        changed = await recount(tx, agent.source, with_skills=False)
        if span.grain is Grain.MINUTE:
            return await FineChart.open(self._database, tx, agent.source, span, changed, since=since)
        rows = await _rows(tx, agent.source, span, changed)
        return CoarseChart(span, points(span, rows), since=since)


async def _rows(tx: Transaction, source: int, span: Window, changed: Recount) -> dict[int, Bucket]:
    stored = await BucketRepository(tx).between(span.grain, source, span.start, span.end)
    if span.grain is Grain.HOUR:
        return stored | changed.hours
    return stored | await recounted_days(tx, source, changed)
