"""HTTP: tokens, costs, turns, budgets and prices."""

from datetime import datetime
from typing import Annotated

from litestar import Controller, delete, get, put
from litestar.params import Parameter

from agent_runtime.monitoring.domain.usage import Span
from agent_runtime.monitoring.schemas import (
    BudgetView,
    CostsView,
    PipelineRunView,
    PriceView,
    PutBudget,
    PutPrice,
    Removed,
    TokensView,
    in_utc,
)
from agent_runtime.monitoring.usecases.budgets import Budgets
from agent_runtime.monitoring.usecases.reports import Reports
from shoal.http.auth import require_admin, require_user
from shoal.identity import Principal

Turns = Annotated[int, Parameter(ge=1, le=1000)]


def asked_span(since: datetime | None = None, until: datetime | None = None) -> Span:
    """Read from when until when a question is."""
    return Span(in_utc(since), in_utc(until))


class MonitoringController(Controller):
    """What the account's agents took and cost, and how much they may."""

    path = "/api/monitoring"
    tags = ("monitoring",)
    guards = (require_user,)

    @get("/token-usage", operation_id="getTokenUsage", summary="Tokens by model and session")
    async def tokens(self, reports: Reports, principal: Principal, span: Span) -> TokensView:
        """Add up tokens, of all time or between two moments."""
        return TokensView.from_domain(await reports.tokens(principal.account_id, span))

    @get("/costs", operation_id="getCosts", summary="Costs by model and tier")
    async def costs(self, reports: Reports, principal: Principal, span: Span) -> CostsView:
        """Add up costs, each at the price of its day."""
        return CostsView.from_domain(await reports.costs(principal.account_id, span))

    @get("/pipeline-runs", operation_id="listPipelineRuns", summary="Turns and their stages")
    async def turns(
        self,
        reports: Reports,
        principal: Principal,
        session: str | None = None,
        before: datetime | None = None,
        limit: Turns = 100,
    ) -> list[PipelineRunView]:
        """List turns, newest first."""
        turns = await reports.turns(principal.account_id, session_key=session, before=in_utc(before), limit=limit)
        return [PipelineRunView.from_domain(turn) for turn in turns]

    @get("/budgets", operation_id="listBudgets", summary="List budgets")
    async def budgets(self, budgets: Budgets, principal: Principal) -> list[BudgetView]:
        """List budgets and where they stand."""
        return [BudgetView.from_domain(watched) for watched in await budgets.list_for(principal.account_id)]

    @put("/budgets", operation_id="putBudget", summary="Set a budget", guards=[require_admin])
    async def put_budget(self, data: PutBudget, budgets: Budgets, principal: Principal) -> BudgetView:
        """Set a limit, or another one in its place."""
        return BudgetView.from_domain(await budgets.put(principal.account_id, data.to_draft()))

    @delete(
        "/budgets/{budget_id:str}",
        operation_id="deleteBudget",
        summary="Delete a budget",
        guards=[require_admin],
        status_code=200,
    )
    async def remove_budget(self, budget_id: str, budgets: Budgets, principal: Principal) -> Removed:
        """Take a limit away."""
        await budgets.remove(principal.account_id, budget_id)
        return Removed()

    @get("/prices", operation_id="listPrices", summary="List own prices")
    async def prices(self, budgets: Budgets, principal: Principal) -> list[PriceView]:
        """List prices that differ from the published ones."""
        return [PriceView.from_domain(price) for price in await budgets.prices(principal.account_id)]

    @put("/prices", operation_id="putPrice", summary="Set an own price", guards=[require_admin])
    async def put_price(self, data: PutPrice, budgets: Budgets, principal: Principal) -> PriceView:
        """Set what a model costs from a day on."""
        return PriceView.from_domain(await budgets.put_price(principal.account_id, data.to_draft()))

    @delete(
        "/prices/{price_id:str}",
        operation_id="deletePrice",
        summary="Forget an own price",
        guards=[require_admin],
        status_code=200,
    )
    async def remove_price(self, price_id: str, budgets: Budgets, principal: Principal) -> Removed:
        """Return to the published price."""
        await budgets.remove_price(principal.account_id, price_id)
        return Removed()
