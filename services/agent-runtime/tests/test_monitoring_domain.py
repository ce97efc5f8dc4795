"""What tokens cost, and how much may be spent."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from agent_runtime.errors import TokenBudgetExhaustedError
from agent_runtime.monitoring.domain.budgets import Budget, Period, Scope, Standing, set_aside
from agent_runtime.monitoring.domain.prices import PriceOverride, Tokens, cost_of
from agent_runtime.ports import ModelName

NOW = datetime(2026, 2, 24, 10, 30, tzinfo=UTC)
MILLION = Tokens(input=1_000_000, output=1_000_000)


def cost(tokens: Tokens, model: str, at: datetime = NOW, override: PriceOverride | None = None) -> Any:
    return cost_of(tokens, ModelName.parse(model), at=at, override=override)


def test_published_prices_are_exact() -> None:
    told = cost(Tokens(input=245_000, output=82_000), "anthropic/claude-sonnet-4")
    assert (told.input, told.output) == (Decimal("0.735"), Decimal("1.23"))
    assert told.price.startswith("genai-prices")
    assert cost(MILLION, "openai/gpt-4o-mini").total == Decimal("0.75")
    assert cost(MILLION, "anthropic/claude-haiku-3.5").total == cost(MILLION, "anthropic/claude-3-5-haiku-latest").total


def test_what_runs_here_is_free_and_the_unknown_is_not_guessed() -> None:
    assert cost(MILLION, "offline/rules") == cost(MILLION, "agent-booster/agent-booster")
    assert cost(MILLION, "offline/rules").price == "free"
    unknown = cost(MILLION, "my-own/gpt-4o")
    assert (unknown.total, unknown.price) == (Decimal(0), None)


@given(*(st.integers(-(10**12), 10**12) for _ in range(4)))
def test_whatever_a_provider_counts_is_priced(read: int, written: int, cached: int, stored: int) -> None:
    tokens = Tokens.counted(input=read, output=written, cache_read=cached, cache_write=stored)
    for model in ("anthropic/claude-sonnet-4", "openai/gpt-4o", "my-own/llm", "offline/rules", ""):
        assert cost(tokens, model).total >= 0


def test_own_price_stands_instead_and_counts_cached_tokens_apart() -> None:
    own = PriceOverride(
        id="price_1", account_id="acct_1", provider="openai", model="gpt-4o", valid_from=NOW.date(),
        input=Decimal(2), output=Decimal(8), cache_read=Decimal("0.5"), cache_write=Decimal(3),
    )  # fmt: skip
    tokens = Tokens(input=1_000_000, output=500_000, cache_read=600_000, cache_write=100_000)
    told = cost(tokens, "openai/gpt-4o", override=own)
    assert told.input == Decimal("0.6") + Decimal("0.3") + Decimal("0.3")
    assert told.output == Decimal(4)


@pytest.mark.parametrize(
    ("period", "begins", "ends"),
    [
        (Period.TOTAL, datetime(1970, 1, 1, tzinfo=UTC), None),
        (Period.DAY, datetime(2026, 2, 24, tzinfo=UTC), datetime(2026, 2, 25, tzinfo=UTC)),
        (Period.MONTH, datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
    ],
)
def test_periods_begin_and_end_in_utc(period: Period, begins: datetime, ends: datetime | None) -> None:
    assert (period.begins(NOW), period.ends(NOW)) == (begins, ends)
    assert period.begins(NOW.astimezone(tz=None)) == begins


@given(
    limit=st.integers(1, 10_000),
    calls=st.lists(st.tuples(st.integers(1, 4000), st.integers(0, 4000), st.booleans()), max_size=30),
)
def test_what_is_set_aside_never_passes_the_limit(limit: int, calls: list[tuple[int, int, bool]]) -> None:
    budget = Budget(
        id="bud_1", account_id="acct_1", scope=Scope.AGENT, subject="agent_1", period=Period.TOTAL, limit_usd=None,
        limit_tokens=limit,
    )  # fmt: skip
    spent, held = 0, []
    for wanted, claimed, is_settled in calls:
        standing = Standing(spent_tokens=spent, held_tokens=sum(held))
        try:
            hold = set_aside(budget, standing, usd=Decimal(0), tokens=wanted, now=NOW)
        except TokenBudgetExhaustedError:
            assert spent + sum(held) >= limit
            continue
        assert 0 < hold.tokens <= wanted
        assert spent + sum(held) + hold.tokens <= limit
        if is_settled:
            spent += min(claimed, hold.tokens)
        else:
            held.append(hold.tokens)
