"""What calls of models took, added up."""

from datetime import datetime
from decimal import Decimal

from msgspec import Struct


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


class Span(Struct, frozen=True):
    """From when until when; None: without bound."""

    since: datetime | None = None
    until: datetime | None = None
