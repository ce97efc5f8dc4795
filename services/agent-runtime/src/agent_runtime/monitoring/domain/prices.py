"""What tokens cost. Pure, in `Decimal` USD.

The published prices come from genai-prices, whose data are part of the package and know since when a price holds. An
account may say otherwise, from a day on. What runs here costs nothing. Of a model that nobody knows the price of,
tokens are counted and nothing is charged.
"""

import contextlib
import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from typing import Final

import genai_prices
from msgspec import Struct

from agent_runtime.ports import ModelName

MILLION = Decimal(1_000_000)
MAX_TOKENS = 10**9
"""Of one call; what says more has counted wrong."""
FREE: Final = frozenset({"offline", "agent-booster"})
"""Providers that are part of this service."""
_PUBLISHED: Final = f"genai-prices {version('genai-prices')}"
_CLAUDE = re.compile(r"claude-(opus|sonnet|haiku)-(\d+)(?:[.-](\d))?\Z")


class Tokens(Struct, frozen=True, kw_only=True):
    """How many tokens; the cached ones are part of `input`."""

    input: int
    output: int
    cache_read: int = 0
    cache_write: int = 0

    @classmethod
    def counted(cls, *, input: int, output: int, cache_read: int, cache_write: int) -> "Tokens":  # noqa: A002 - as the field
        """Take what a provider counted, who may count wrong: nothing below zero, no more cached than read."""
        read, write = _sound(cache_read), _sound(cache_write)
        return cls(input=max(_sound(input), read + write), output=_sound(output), cache_read=read, cache_write=write)

    @property
    def total(self) -> int:
        """All tokens, read and written: what a budget in tokens counts."""
        return self.input + self.output


class Cost(Struct, frozen=True):
    """What tokens cost in USD, and where the price came from; None: nobody knows it, and nothing is charged."""

    input: Decimal
    output: Decimal
    price: str | None

    @property
    def total(self) -> Decimal:
        """What all tokens cost, in USD."""
        return self.input + self.output


class PriceDraft(Struct, frozen=True, kw_only=True):
    """An account's own price that is to be: of one model, in USD per million tokens, from a day (UTC) on."""

    provider: str
    model: str
    valid_from: date
    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal


class PriceOverride(PriceDraft, frozen=True, kw_only=True):
    """An account's own price of a model, in place of the published one."""

    id: str
    account_id: str

    def cost(self, tokens: Tokens) -> Cost:
        """Tell what tokens cost; cached ones at their own prices, the rest of those read at `input`."""
        fresh = max(0, tokens.input - tokens.cache_read - tokens.cache_write)
        paid = fresh * self.input + tokens.cache_read * self.cache_read + tokens.cache_write * self.cache_write
        price = f"account, from {self.valid_from.isoformat()}"
        return Cost(paid / MILLION, tokens.output * self.output / MILLION, price)


def cost_of(tokens: Tokens, model: ModelName, *, at: datetime, override: PriceOverride | None) -> Cost:
    """Tell what tokens of a model cost at a moment."""
    if override is not None:
        return override.cost(tokens)
    if model.provider in FREE:
        return Cost(Decimal(0), Decimal(0), "free")
    usage = genai_prices.Usage(
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write,
    )
    if (name := _published_name(model)) is not None:
        with contextlib.suppress(LookupError, ValueError):
            price = genai_prices.calc_price(usage, name, provider_id=model.provider, genai_request_timestamp=at)
            return Cost(price.input_price, price.output_price, _PUBLISHED)
    return Cost(Decimal(0), Decimal(0), None)


@lru_cache(maxsize=1024)
def _published_name(model: ModelName) -> str | None:
    """Find under which spelling a model's price is published; one without a price is looked for in all of them."""
    for name in _spellings(model.name):
        with contextlib.suppress(LookupError, ValueError):
            genai_prices.calc_price(genai_prices.Usage(), name, provider_id=model.provider)
            return name
    return None


def _sound(count: int) -> int:
    return min(max(0, count), MAX_TOKENS)


def _spellings(name: str) -> Iterator[str]:
    """Try a name as it is; people also write `claude-haiku-3.5` for what its maker calls `claude-3-5-haiku`."""
    yield name
    if found := _CLAUDE.match(name):
        family, *numbers = found.groups()
        yield "-".join(("claude", *(number for number in numbers if number), family))
