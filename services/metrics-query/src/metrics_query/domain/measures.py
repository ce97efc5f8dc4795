"""Numbers as agents send them, turned into bounded integers, and back into what the contract shows."""

import math
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

MAX_COUNT = 10**12
"""The largest count that is taken at its word."""
MAX_MONEY = 10**9
"""The largest amount of money, in whole units."""
MAX_GAUGE = 10**7
"""The largest gauge: 10 TB of memory, ten million sessions."""
MICROS = 10**6
MAX_SUM = 2**62


def count(value: float | None) -> int | None:
    """Read a count; None when it is absent, negative or no number."""
    if value is None or not math.isfinite(value) or value < 0:
        return None
    return round(min(value, MAX_COUNT))


def thousandths(value: float | None) -> int | None:
    """Read a gauge; None when it is absent, negative or no number."""
    if value is None or not math.isfinite(value) or value < 0:
        return None
    return round(min(value, MAX_GAUGE) * 1000)


def micros(text: str | None) -> int | None:
    """Read a decimal string as millionths, half to even; None when absent, negative or no number."""
    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    if not value.is_finite() or value < 0:
        return None
    return int((min(value, Decimal(MAX_MONEY)) * MICROS).to_integral_value(ROUND_HALF_EVEN))


def bounded(total: int) -> int:
    """Keep a sum storable. Saturating sums of what is not negative do not depend on order either."""
    return min(total, MAX_SUM)


def money(value: int) -> str:
    """Write millionths as the contract's decimal string: two decimals, more only where they are needed."""
    whole, fraction = divmod(value, MICROS)
    return f"{whole}.{f'{fraction:06d}'.rstrip('0'):0<2}"


def number(value: float, digits: int = 2) -> int | float:
    """Round for display; whole numbers carry no fraction."""
    rounded = round(value, digits)
    return int(rounded) if rounded == int(rounded) else rounded
