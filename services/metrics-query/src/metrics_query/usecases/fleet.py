"""What all agents of an account did together."""

from collections.abc import Sequence

from metrics_query.domain.fleet import NO_TOTALS, Agent, AgentState, AgentTotals, Overview
from metrics_query.domain.moments import to_minute
from metrics_query.domain.periods import Period, Resolution, resolve, window
from metrics_query.domain.series import Totals
from metrics_query.repositories.agents import AgentRepository
from metrics_query.repositories.fleet import FleetRepository
from shoal.clock import Clock
from shoal.database import Database

ACTIVE = 5
"""For how many minutes after its last sample an agent counts as active."""


class Fleet:
    """Answers for all agents of an account, from hours and days as they were last rolled up."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def overview(self, account_id: str, *, period: Period) -> Overview:
        """Sum up every agent, and every point."""
        now = to_minute(self._clock.now())
        span = window(period, Resolution.AUTO, now=now)
        async with self._database.reading() as tx:
            agents = await AgentRepository(tx).list(account_id)
            sources = _sources(agents)
            fleet = FleetRepository(tx)
            totals = await fleet.totals(sources, span)
            points = await fleet.points(sources, span)
            as_of = await fleet.as_of(sources)
        shown = [
            AgentTotals(agent, totals.get(agent.source or 0, NO_TOTALS), _is_active(agent, now)) for agent in agents
        ]
        return Overview(
            period, resolve(period, Resolution.AUTO), span, as_of, shown, points, Totals.sum(totals.values())
        )

    async def state(self, account_id: str) -> list[AgentState]:
        """Tell what each agent said last, and what it did in its last day."""
        now = to_minute(self._clock.now())
        span = window(Period.DAY, Resolution.HOUR, now=now)
        async with self._database.reading() as tx:
            agents = await AgentRepository(tx).list(account_id)
            sources = _sources(agents)
            present = {each.source: each for each in await FleetRepository(tx).present(sources, since=now - ACTIVE)}
            day = await FleetRepository(tx).totals(sources, span)
        return [
            AgentState(agent, present.get(agent.source or 0), day.get(agent.source or 0, NO_TOTALS)) for agent in agents
        ]


def _sources(agents: Sequence[Agent]) -> list[int]:
    return [agent.source for agent in agents if agent.source is not None]


def _is_active(agent: Agent, now: int) -> bool:
    return agent.last_minute is not None and to_minute(agent.last_minute) >= now - ACTIVE
