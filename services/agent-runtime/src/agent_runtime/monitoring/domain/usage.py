"""What calls of models took: one by one, and added up."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from agent_runtime.monitoring.domain.budgets import Period, Scope
from agent_runtime.monitoring.domain.prices import Cost, Tokens
from agent_runtime.ports import Spent


class Expense(Struct, frozen=True, kw_only=True):
    """What a call took, and against whose budgets it counts.

    Args:
        spent: The call.
        tokens: What it took, as far as that can be right.
        cost: The same in USD.
        subjects: Whose budgets count it.
        begun: When the present period of each kind began.
    """

    spent: Spent
    tokens: Tokens
    cost: Cost
    subjects: Sequence[tuple[Scope, str]]
    begun: Mapping[Period, datetime]


class ByModel(Struct, frozen=True):
    """What an account's calls of one model took."""

    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    requests: int
    input_cost: Decimal
    output_cost: Decimal
    unpriced: int


class BySession(Struct, frozen=True):
    """What the calls of one session took."""

    session_key: str
    input_tokens: int
    output_tokens: int
    requests: int


class ByTier(Struct, frozen=True):
    """What the calls of one tier took."""

    tier: int
    requests: int
    cost: Decimal


class TokenReport(Struct, frozen=True):
    """How many tokens an account's calls took, by model and by session."""

    by_model: Sequence[ByModel]
    by_session: Sequence[BySession]


class CostReport(Struct, frozen=True):
    """What an account's calls cost, in USD, by model and by tier."""

    by_model: Sequence[ByModel]
    by_tier: Sequence[ByTier]

    @property
    def total(self) -> Decimal:
        """The cost of all calls together."""
        return sum((row.input_cost + row.output_cost for row in self.by_model), Decimal(0))


class Span(Struct, frozen=True):
    """From when until when; None: without bound."""

    since: datetime | None = None
    until: datetime | None = None
