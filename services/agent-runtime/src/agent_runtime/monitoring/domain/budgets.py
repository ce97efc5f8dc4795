"""How much may be spent, on what, and how often that begins anew. Pure."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from msgspec import Struct

from agent_runtime.errors import BudgetExhaustedError, TokenBudgetExhaustedError
from shoal.errors import FieldProblem

EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Scope(StrEnum):
    """Whose spending a budget bounds: one subject of this kind."""

    TOKEN = "token"  # noqa: S105 - a kind of subject: a login or an API key, by its id
    AGENT = "agent"
    SESSION = "session"
    ACCOUNT = "account"


class Period(StrEnum):
    """After what time a budget begins anew, in UTC."""

    TOTAL = "total"
    DAY = "day"
    MONTH = "month"

    def begins(self, now: datetime) -> datetime:
        """Tell when the period began in which `now` is; the first moment of 1970 for `total`."""
        if self is Period.TOTAL:
            return EVER
        day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return day if self is Period.DAY else day.replace(day=1)

    def ends(self, now: datetime) -> datetime | None:
        """Tell when the period ends in which `now` is; None: never."""
        begun = self.begins(now)
        if self is Period.TOTAL:
            return None
        if self is Period.DAY:
            return begun + timedelta(days=1)
        return (begun + timedelta(days=32)).replace(day=1)


class BudgetDraft(Struct, frozen=True, kw_only=True):
    """A budget that is to be.

    Args:
        scope: What kind of thing spends.
        subject: Which one, by its id or key; the use case puts the account's own id here where all of it spends.
        period: After what time it begins anew.
        limit_usd: How much money; None: as much as anybody likes.
        limit_tokens: How many tokens; None: as many as anybody likes.
    """

    scope: Scope
    subject: str
    period: Period
    limit_usd: Decimal | None
    limit_tokens: int | None


class Budget(BudgetDraft, frozen=True, kw_only=True):
    """A limit on what an account, or a part of it, spends."""

    id: str
    account_id: str


class Standing(Struct, frozen=True, kw_only=True):
    """What was spent in the present period, and what is set aside for calls under way."""

    spent_usd: Decimal = Decimal(0)
    spent_tokens: int = 0
    held_usd: Decimal = Decimal(0)
    held_tokens: int = 0


class WatchedBudget(Struct, frozen=True):
    """A budget, where it stands, and when it begins anew (None: never)."""

    budget: Budget
    standing: Standing
    resets_at: datetime | None


class Hold(Struct, frozen=True):
    """What is set aside of a budget for one call."""

    usd: Decimal
    tokens: int


def set_aside(budget: Budget, standing: Standing, *, usd: Decimal, tokens: int, now: datetime) -> Hold:
    """Set aside what a call may take at most, or what is left if that is less.

    What is left may be less than the call takes: then this call goes beyond the limit, by its own size at most, and no
    other does beside it. A call for which nothing is left is refused.

    Raises:
        BudgetExhaustedError: The money is used up.
        TokenBudgetExhaustedError: The tokens are used up.
    """
    ends = budget.period.ends(now)
    retry_after_s = None if ends is None else (ends - now).total_seconds()
    where = f"{budget.scope} {budget.subject}, per {budget.period}"
    if budget.limit_usd is not None:
        left = budget.limit_usd - standing.spent_usd - standing.held_usd
        if left <= 0:
            told = f"{standing.spent_usd:f} of {budget.limit_usd:f} USD spent ({where})"
            problems = [FieldProblem(budget.scope, told)]
            raise BudgetExhaustedError(f"The budget is used up: {told}.", details=problems, retry_after_s=retry_after_s)
        usd = min(usd, left)
    if budget.limit_tokens is not None:
        left_tokens = budget.limit_tokens - standing.spent_tokens - standing.held_tokens
        if left_tokens <= 0:
            told = f"{standing.spent_tokens} of {budget.limit_tokens} tokens used ({where})"
            problems = [FieldProblem(budget.scope, told)]
            message = f"The budget is used up: {told}."
            raise TokenBudgetExhaustedError(message, details=problems, retry_after_s=retry_after_s)
        tokens = min(tokens, left_tokens)
    return Hold(usd, tokens)
