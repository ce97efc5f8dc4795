"""Spending: what calls of models took, what that cost, and how much there may be."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from agent_runtime.errors import BudgetExhaustedError, TokenBudgetExhaustedError
from agent_runtime.monitoring.domain.budgets import Budget, Period, Scope, set_aside
from agent_runtime.monitoring.domain.prices import Cost, Tokens, cost_of
from agent_runtime.monitoring.domain.usage import Expense
from agent_runtime.monitoring.repositories.budgets import BudgetRepository
from agent_runtime.monitoring.repositories.spending import SpendingRepository
from agent_runtime.monitoring.repositories.usage import UsageRepository
from agent_runtime.ports import Charge, Estimate, ModelCall, Spent, TimedTurn
from agent_runtime.recent import Recent
from shoal.clock import Clock
from shoal.database import Database, DatabaseUnavailableError, Transaction
from shoal.ids import new_id

LAPSES_AFTER = timedelta(hours=1)


class Spending:
    """Sets aside before a call, and records after it. It is the port `Usage`.

    Callers that set aside against the same budget follow each other, by the budget's row; what one set aside, the next
    sees. Settling puts what was really taken in its place, in the transaction that tells of the call's outcome; what
    nobody settles, since its process died, lapses within the hour. An account's first budget may begin to refuse a
    second later where it was set by another process; what is spent meanwhile counts.
    """

    def __init__(self, database: Database, clock: Clock, *, recent: Recent) -> None:
        self._database = database
        self._clock = clock
        self._recent = recent

    async def reserve(self, estimate: Estimate) -> str:
        """Set something aside for a call; returns the reservation, empty when no budget counts it.

        Raises:
            BudgetExhaustedError: The money is used up.
            TokenBudgetExhaustedError: The tokens are used up for now.
        """
        if not await self._recent.get(estimate.account_id, lambda: self._has_budgets(estimate.account_id)):
            return ""
        async with self._database.reading() as database:
            against = await BudgetRepository(database).list_against(estimate.account_id, _subjects(estimate))
        if not against:
            return ""
        reservation = new_id("res")
        try:
            async with self._database.transaction() as tx:
                await self._set_aside(tx, reservation, estimate, against)
        except (DatabaseUnavailableError, asyncio.CancelledError):  # it may stand, and nobody would settle it
            await asyncio.shield(self._release(reservation))
            raise
        return reservation

    async def retry_after_s(self, estimate: Estimate) -> float | None:
        """Tell in how many seconds all budgets that refuse a call begin anew; None: one never does, or none refuses."""
        now = self._clock.now()
        waits: list[float] = []
        async with self._database.transaction(read_only=True) as tx:
            budgets = BudgetRepository(tx)
            for budget in await budgets.list_against(estimate.account_id, _subjects(estimate)):
                standing = await budgets.standing(budget.id, budget.period.begins(now))
                try:
                    set_aside(budget, standing, usd=Decimal(0), tokens=0, now=now)
                except (BudgetExhaustedError, TokenBudgetExhaustedError) as refused:
                    if refused.retry_after_s is None:
                        return None
                    waits.append(refused.retry_after_s)
        return max(waits, default=None)

    async def settle(
        self, tx: Transaction, reservation: str, spent: Spent | None, *, turn: TimedTurn | None = None
    ) -> Charge:
        """Record what a call took in place of what was set aside, None for nothing; with it the turn that it ends."""
        budgets = BudgetRepository(tx)
        if spent is None:
            await budgets.release(reservation)
            return Charge()
        tokens = Tokens.counted(
            input=spent.input_tokens,
            output=spent.output_tokens,
            cache_read=spent.cache_read_tokens,
            cache_write=spent.cache_write_tokens,
        )
        cost = await self._cost(tx, spent, tokens, at=spent.at)
        if reservation:  # after the account is held, as whoever removes a budget does
            await budgets.release(reservation)
        begun = {period: period.begins(spent.at) for period in Period}
        expense = Expense(spent=spent, tokens=tokens, cost=cost, subjects=_subjects(spent), begun=begun)
        await SpendingRepository(tx).record(expense, turn)
        return Charge(cost.total, tokens.total)

    async def give_back(self, tx: Transaction, run_id: str) -> None:
        """Give back what is still set aside for a run that is over: its process died before its call was settled."""
        await BudgetRepository(tx).release_all(run_id)

    async def forget_lapsed(self) -> None:
        """Forget what was set aside and nobody settled; budgets count it no more since it lapsed."""
        async with self._database.transaction() as tx:
            await BudgetRepository(tx).forget_lapsed()

    async def _has_budgets(self, account_id: str) -> bool:
        async with self._database.reading() as database:
            return await BudgetRepository(database).has_any(account_id)

    async def _set_aside(
        self, tx: Transaction, reservation: str, estimate: Estimate, against: Sequence[Budget]
    ) -> None:
        """Set something aside of each budget that is still there."""
        now = self._clock.now()
        tokens = Tokens(input=estimate.input_tokens, output=estimate.output_tokens)
        cost = await self._cost(tx, estimate, tokens, at=now)
        budgets = BudgetRepository(tx)
        held = await budgets.lock([budget.id for budget in against])
        for budget in (budget for budget in against if budget.id in held):
            standing = await budgets.standing(budget.id, budget.period.begins(now))
            hold = set_aside(budget, standing, usd=cost.total, tokens=tokens.total, now=now)
            await budgets.set_aside(reservation, budget.id, hold, run_id=estimate.run_id, lapses_after=LAPSES_AFTER)

    async def _release(self, reservation: str) -> None:
        """Give back what may have been set aside; while the database is away, it lapses."""
        with contextlib.suppress(DatabaseUnavailableError):
            async with self._database.transaction() as tx:
                await BudgetRepository(tx).release(reservation)

    async def _cost(self, tx: Transaction, call: ModelCall, tokens: Tokens, *, at: datetime) -> Cost:
        override = await UsageRepository(tx).price_held(call.account_id, call.model, at=at)
        return cost_of(tokens, call.model, at=at, override=override)


def _subjects(call: ModelCall) -> list[tuple[Scope, str]]:
    """List whose budgets a call counts against."""
    return [
        (Scope.TOKEN, call.credential_id),
        (Scope.AGENT, call.agent_id),
        (Scope.SESSION, call.session_key),
        (Scope.ACCOUNT, call.account_id),
    ]
