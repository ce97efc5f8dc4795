"""Answers and bodies of monitoring. Money is a number of USD, as the contract has it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Final

from msgspec import Meta, Struct

from agent_runtime.monitoring.domain.budgets import BudgetDraft, Period, Scope, WatchedBudget
from agent_runtime.monitoring.domain.prices import PriceDraft, PriceOverride
from agent_runtime.monitoring.domain.usage import ByModel, BySession, ByTier, CostReport, TokenReport
from agent_runtime.ports import StageTiming, TimedTurn

TIERS: Final[Mapping[int, str]] = {1: "Agent Booster (plain code)", 2: "Small models", 3: "Large models"}
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Money = Annotated[float, Meta(ge=0, le=1e9)]
Count = Annotated[int, Meta(ge=0, le=10**15)]


class ModelTokens(Struct, frozen=True):
    """Tokens of one model."""

    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    total_tokens: int
    request_count: int

    @classmethod
    def from_domain(cls, row: ByModel) -> "ModelTokens":
        """Show what a model's calls took."""
        total = row.input_tokens + row.output_tokens
        return cls(row.provider, row.model, row.input_tokens, row.output_tokens, total, row.requests)


class SessionTokens(Struct, frozen=True):
    """Tokens of one session."""

    session_key: str
    input_tokens: int
    output_tokens: int
    request_count: int

    @classmethod
    def from_domain(cls, row: BySession) -> "SessionTokens":
        """Show what a session's calls took."""
        return cls(row.session_key, row.input_tokens, row.output_tokens, row.requests)


class TokensView(Struct, frozen=True):
    """Answer of `GET /api/monitoring/token-usage`."""

    total_input: int
    total_output: int
    total_requests: int
    by_provider: list[ModelTokens]
    by_session: list[SessionTokens]

    @classmethod
    def from_domain(cls, report: TokenReport) -> "TokensView":
        """Show what calls took."""
        return cls(
            total_input=sum(row.input_tokens for row in report.by_model),
            total_output=sum(row.output_tokens for row in report.by_model),
            total_requests=sum(row.requests for row in report.by_model),
            by_provider=[ModelTokens.from_domain(row) for row in report.by_model],
            by_session=[SessionTokens.from_domain(row) for row in report.by_session],
        )


class ModelCost(Struct, frozen=True):
    """Cost of one model; `unpriced_requests` took tokens whose price nobody knows."""

    provider: str
    model: str
    input_cost_usd: float
    output_cost_usd: float
    total_cost_usd: float
    unpriced_requests: int

    @classmethod
    def from_domain(cls, row: ByModel) -> "ModelCost":
        """Show what a model's calls cost."""
        total = row.input_cost + row.output_cost
        return cls(row.provider, row.model, float(row.input_cost), float(row.output_cost), float(total), row.unpriced)


class TierCost(Struct, frozen=True):
    """Cost of one tier."""

    tier: int
    label: str
    request_count: int
    total_cost_usd: float

    @classmethod
    def from_domain(cls, row: ByTier) -> "TierCost":
        """Show what a tier's calls cost."""
        return cls(row.tier, TIERS.get(row.tier, f"Tier {row.tier}"), row.requests, float(row.cost))


class CostsView(Struct, frozen=True):
    """Answer of `GET /api/monitoring/costs`."""

    total_cost_usd: float
    by_provider: list[ModelCost]
    by_tier: list[TierCost]

    @classmethod
    def from_domain(cls, report: CostReport) -> "CostsView":
        """Show what calls cost."""
        return cls(
            total_cost_usd=float(report.total),
            by_provider=[ModelCost.from_domain(row) for row in report.by_model],
            by_tier=[TierCost.from_domain(row) for row in report.by_tier],
        )


class PipelineRunView(Struct, frozen=True, kw_only=True):
    """An item of `GET /api/monitoring/pipeline-runs`."""

    id: str
    session_key: str
    agent_id: str
    model: str
    complexity: float
    tier: int
    latency_ms: float
    status: str
    timestamp: datetime
    stages: tuple[StageTiming, ...]
    trace_id: str

    @classmethod
    def from_domain(cls, turn: TimedTurn) -> "PipelineRunView":
        """Show a timed turn."""
        return cls(
            id=turn.run_id,
            session_key=turn.session_key,
            agent_id=turn.agent_id,
            model=turn.model,
            complexity=round(turn.complexity, 4),
            tier=turn.tier,
            latency_ms=round(turn.latency_ms, 2),
            status="success" if turn.is_success else "error",
            timestamp=turn.at,
            stages=turn.stages,
            trace_id=turn.trace_id,
        )


class PutBudget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `PUT /api/monitoring/budgets`; a `token` is a login or an API key, by its id."""

    scope: Scope
    subject: Annotated[str, Meta(max_length=128)] = ""
    period: Period = Period.TOTAL
    limit_usd: Money | None = None
    limit_tokens: Count | None = None

    def to_draft(self) -> BudgetDraft:
        """Make the draft that this describes; money is taken as it is written, so 0.1 is a tenth."""
        return BudgetDraft(
            scope=self.scope,
            subject=self.subject,
            period=self.period,
            limit_usd=None if self.limit_usd is None else _exactly(self.limit_usd),
            limit_tokens=self.limit_tokens,
        )


class BudgetView(Struct, frozen=True, kw_only=True):
    """A budget and where it stands."""

    id: str
    scope: Scope
    subject: str
    period: Period
    limit_usd: float | None
    limit_tokens: int | None
    spent_usd: float
    spent_tokens: int
    reserved_usd: float
    reserved_tokens: int
    resets_at: datetime | None

    @classmethod
    def from_domain(cls, watched: WatchedBudget) -> "BudgetView":
        """Show a budget."""
        budget, standing = watched.budget, watched.standing
        return cls(
            id=budget.id,
            scope=budget.scope,
            subject=budget.subject,
            period=budget.period,
            limit_usd=None if budget.limit_usd is None else float(budget.limit_usd),
            limit_tokens=budget.limit_tokens,
            spent_usd=float(standing.spent_usd),
            spent_tokens=standing.spent_tokens,
            reserved_usd=float(standing.held_usd),
            reserved_tokens=standing.held_tokens,
            resets_at=watched.resets_at,
        )


class PutPrice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `PUT /api/monitoring/prices`: USD per million tokens; cached tokens cost what others do unless said."""

    provider: Name
    model: Name
    input_per_million: Money
    output_per_million: Money
    cache_read_per_million: Money | None = None
    cache_write_per_million: Money | None = None
    valid_from: date = date(1970, 1, 1)

    def to_draft(self) -> PriceDraft:
        """Make the draft that this describes; money is taken as it is written, so 0.1 is a tenth."""
        read, write = self.cache_read_per_million, self.cache_write_per_million
        return PriceDraft(
            provider=self.provider,
            model=self.model,
            valid_from=self.valid_from,
            input=_exactly(self.input_per_million),
            output=_exactly(self.output_per_million),
            cache_read=_exactly(self.input_per_million if read is None else read),
            cache_write=_exactly(self.input_per_million if write is None else write),
        )


class PriceView(Struct, frozen=True, kw_only=True):
    """An own price of the account, in USD per million tokens."""

    id: str
    provider: str
    model: str
    valid_from: date
    input_per_million: float
    output_per_million: float
    cache_read_per_million: float
    cache_write_per_million: float

    @classmethod
    def from_domain(cls, price: PriceOverride) -> "PriceView":
        """Show a price."""
        return cls(
            id=price.id,
            provider=price.provider,
            model=price.model,
            valid_from=price.valid_from,
            input_per_million=float(price.input),
            output_per_million=float(price.output),
            cache_read_per_million=float(price.cache_read),
            cache_write_per_million=float(price.cache_write),
        )


class Removed(Struct, frozen=True):
    """Answer of deleting a budget or an own price."""

    success: bool = True


def in_utc(moment: datetime | None) -> datetime | None:
    """Read a time of a query; without an offset it is UTC."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _exactly(money: float) -> Decimal:
    """Read money as it was written: 0.1 is a tenth."""
    return Decimal(str(money))
