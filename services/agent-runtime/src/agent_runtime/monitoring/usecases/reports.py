"""Reports: tokens, costs and turns, from what was recorded."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from agent_runtime.monitoring.domain.usage import CostReport, Span, TokenReport
from agent_runtime.monitoring.repositories.budgets import BudgetRepository
from agent_runtime.monitoring.repositories.turns import TurnRepository
from agent_runtime.monitoring.repositories.usage import UsageRepository
from agent_runtime.ports import TimedTurn
from shoal.clock import Clock
from shoal.database import Database, Transaction

MAX_SESSIONS = 500
TURNS_KEPT = timedelta(days=90)


class Reports:
    """Adds up what was recorded, and keeps timed turns. It is the port `PipelineLog`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def tokens(self, account_id: str, span: Span) -> TokenReport:
        """Tell what calls took; of sessions, those that took most."""
        async with self._database.transaction(read_only=True) as tx:
            usage = UsageRepository(tx)
            by_session = await usage.by_session(account_id, span, limit=MAX_SESSIONS)
            return TokenReport(await usage.by_model(account_id, span), by_session)

    async def costs(self, account_id: str, span: Span) -> CostReport:
        """Tell what calls cost, by model and by tier, each at the price of its day."""
        async with self._database.transaction(read_only=True) as tx:
            usage = UsageRepository(tx)
            return CostReport(await usage.by_model(account_id, span), await usage.by_tier(account_id, span))

    async def turns(
        self, account_id: str, *, session_key: str | None, before: datetime | None, limit: int
    ) -> Sequence[TimedTurn]:
        """List timed turns, newest first."""
        async with self._database.reading() as database:
            turns = TurnRepository(database)
            return await turns.newest(account_id, session_key=session_key, before=before, limit=limit)

    async def record(self, tx: Transaction, turn: TimedTurn) -> None:
        """Keep a turn; one that is recorded again changes nothing."""
        await TurnRepository(tx).insert(turn)

    async def forget_old(self) -> None:
        """Forget turns of more than 90 days ago; what they took stays."""
        async with self._database.transaction() as tx:
            await TurnRepository(tx).forget_old(self._clock.now() - TURNS_KEPT)

    async def erase(self, tx: Transaction, account_id: str) -> None:
        """Erase what an account that is no more took, its prices, budgets and timed turns."""
        await BudgetRepository(tx).hold_account(account_id)
        await TurnRepository(tx).erase(account_id)
        await UsageRepository(tx).erase(account_id)
        await BudgetRepository(tx).erase(account_id)
