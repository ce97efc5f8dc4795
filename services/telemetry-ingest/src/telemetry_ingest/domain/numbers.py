"""Numbers and money as agents send them: finite, bounded, and money without the errors of binary fractions."""

from decimal import Decimal
from typing import Annotated

from msgspec import Meta

MAX_WHOLE = 2**53
"""Whole numbers up to here survive every JSON parser."""

Number = (
    Annotated[int, Meta(ge=-MAX_WHOLE, le=MAX_WHOLE)]
    | Annotated[float, Meta(ge=-float(MAX_WHOLE), le=float(MAX_WHOLE))]
)  # whole numbers stay whole on their way to a viewer
WireMoney = Annotated[str, Meta(pattern=r"^-?\d{1,16}(\.\d{1,18})?\Z")] | Number
"""A decimal string; a number is read too."""


def plain_money(amount: str | float | None) -> str | None:
    """Write an amount as a decimal string: `0.9` for 0.9, never `1e-07`; a number's fraction has 12 digits at most."""
    if amount is None or isinstance(amount, str):
        return amount
    whole, _, fraction = f"{Decimal(repr(amount)):.12f}".partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole
