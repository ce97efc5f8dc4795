"""Budgets and prices, as admins set them."""

from collections.abc import Sequence

from msgspec import structs

from agent_runtime.monitoring.clients import CredentialClient
from agent_runtime.monitoring.domain.budgets import Budget, BudgetDraft, Scope, WatchedBudget
from agent_runtime.monitoring.domain.prices import PriceDraft, PriceOverride
from agent_runtime.monitoring.errors import (
    BudgetNotFoundError,
    CredentialNotFoundError,
    LimitMissingError,
    PriceNotFoundError,
)
from agent_runtime.monitoring.repositories.budgets import BudgetRepository
from agent_runtime.monitoring.repositories.usage import UsageRepository
from agent_runtime.ports import Agents, Sessions
from agent_runtime.recent import Recent
from shoal.clock import Clock
from shoal.database import Database, Transaction
from shoal.ids import new_id


class Budgets:
    """List, set and remove budgets and an account's own prices."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        recent: Recent,
        agents: Agents,
        sessions: Sessions,
        credentials: CredentialClient,
    ) -> None:
        self._database = database
        self._clock = clock
        self._recent = recent
        self._agents = agents
        self._sessions = sessions
        self._credentials = credentials

    async def list_for(self, account_id: str) -> Sequence[WatchedBudget]:
        """List an account's budgets and where they stand."""
        async with self._database.transaction(read_only=True) as tx:
            budgets = BudgetRepository(tx)
            return [await self._watched(budgets, budget) for budget in await budgets.list(account_id)]

    async def put(self, account_id: str, draft: BudgetDraft) -> WatchedBudget:
        """Set a limit, or another one in its place; what was spent in the present period counts.

        Raises:
            LimitMissingError: It limits nothing.
            AgentNotFoundError: The account has no such agent; likewise SessionNotFoundError, CredentialNotFoundError.
            UnavailableError: Whether there is such a credential cannot be told right now.
        """
        if draft.limit_usd is None and draft.limit_tokens is None:
            raise LimitMissingError
        if draft.scope is Scope.ACCOUNT:
            draft = structs.replace(draft, subject=account_id)
        budget = Budget(id=new_id("bud"), account_id=account_id, **structs.asdict(draft))
        if budget.scope is Scope.TOKEN and not await self._is_credential(budget):
            raise CredentialNotFoundError
        async with self._database.transaction() as tx:
            tx.after_commit(self._recent.forget)
            budgets = BudgetRepository(tx)
            await budgets.hold_account(account_id)
            await self._hold_subject(tx, budget)
            kept = await budgets.put(budget) or budget
            await budgets.begin(kept, kept.period.begins(self._clock.now()))
            return await self._watched(budgets, kept)

    async def remove(self, account_id: str, budget_id: str) -> None:
        """Take a limit away.

        Raises:
            BudgetNotFoundError: The account has no such budget.
        """
        async with self._database.transaction() as tx:
            tx.after_commit(self._recent.forget)
            budgets = BudgetRepository(tx)
            await budgets.hold_account(account_id)
            if not await budgets.delete(account_id, budget_id):
                raise BudgetNotFoundError

    async def prices(self, account_id: str) -> Sequence[PriceOverride]:
        """List the account's own prices."""
        async with self._database.reading() as database:
            return await UsageRepository(database).list_overrides(account_id)

    async def put_price(self, account_id: str, draft: PriceDraft) -> PriceOverride:
        """Set the account's own price of a model, from a day on; what was recorded before keeps its price."""
        price = PriceOverride(id=new_id("price"), account_id=account_id, **structs.asdict(draft))
        async with self._database.transaction() as tx:
            return await UsageRepository(tx).put_override(price) or price

    async def remove_price(self, account_id: str, price_id: str) -> None:
        """Forget an own price.

        Raises:
            PriceNotFoundError: The account has no such price.
        """
        async with self._database.transaction() as tx:
            if not await UsageRepository(tx).delete_override(account_id, price_id):
                raise PriceNotFoundError

    async def _is_credential(self, budget: Budget) -> bool:
        return bool(budget.subject) and await self._credentials.exists(budget.account_id, budget.subject)

    async def _hold_subject(self, tx: Transaction, budget: Budget) -> None:
        """See that there is what the budget bounds, and that it stays until the commit."""
        match budget.scope:
            case Scope.AGENT:
                await self._agents.hold(tx, budget.account_id, budget.subject)
            case Scope.SESSION:
                await self._sessions.enter(tx, budget.account_id, budget.subject)

    async def _watched(self, budgets: BudgetRepository, budget: Budget) -> WatchedBudget:
        now = self._clock.now()
        standing = await budgets.standing(budget.id, budget.period.begins(now))
        return WatchedBudget(budget, standing, budget.period.ends(now))
