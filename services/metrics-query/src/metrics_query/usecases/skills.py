"""What an agent's skills did."""

from metrics_query.domain.ledgers import NO_LEDGER
from metrics_query.domain.minutes import skills_by_name
from metrics_query.domain.moments import to_minute
from metrics_query.domain.periods import HOUR, Grain, Period, Resolution, Window, window
from metrics_query.domain.skills import Skills, skills_of, skills_together
from metrics_query.errors import AgentNotFoundError
from metrics_query.repositories.agents import AgentRepository
from metrics_query.repositories.buckets import BucketRepository
from metrics_query.repositories.ledgers import LedgerRepository
from metrics_query.repositories.minutes import MinuteRepository
from metrics_query.usecases.recounts import Recount, recount, recounted_skill_days
from shoal.clock import Clock
from shoal.database import Database, Transaction


class SkillHistory:
    """Answers what the skills of one agent did, every counted sample included."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def ask(self, agent_id: str, *, account_id: str, period: Period) -> Skills:
        """Sum up each skill.

        Raises:
            AgentNotFoundError: The account has no such agent.
        """
        span = window(period, Resolution.AUTO, now=to_minute(self._clock.now()))
        async with self._database.reading() as tx:
            agent = await AgentRepository(tx).find(account_id, agent_id)
            if agent is None:
                raise AgentNotFoundError
            if agent.source is None:
                return {}
            changed = await recount(tx, agent.source)
            if span.grain is Grain.MINUTE:
                return await _by_minutes(tx, agent.source, span, changed)
            stored = await BucketRepository(tx).skills_between(span.grain, agent.source, span.start, span.end)
            is_daily = span.grain is Grain.DAY
            stored |= await recounted_skill_days(tx, agent.source, changed) if is_daily else changed.skills
        return skills_together(skills for start, skills in stored.items() if span.start <= start < span.end)


async def _by_minutes(tx: Transaction, source: int, span: Window, changed: Recount) -> Skills:
    first, end = span.start // HOUR, -(-span.end // HOUR)
    ledgers = await LedgerRepository(tx).between(source, first, end + 1) | changed.ledgers
    rows = await MinuteRepository(tx).skills_between(source, first * HOUR, end * HOUR)
    hours = []
    for hour in range(first, end):
        told = skills_by_name({key: row for key, row in rows.items() if key[0] // HOUR == hour})
        own, after = ledgers.get(hour, NO_LEDGER), ledgers.get(hour + 1, NO_LEDGER)
        hours.append(skills_of(hour, told, own, after, start=span.start, end=span.end))
    return skills_together(hours)
