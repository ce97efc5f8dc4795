"""Quantities in Kubernetes' grammar, such as `500m`, `2`, `1.5Gi`."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from instance_orchestrator.errors import InvalidInstanceError

MAX_LENGTH = 20
LEAST_CPU: Final = Decimal("0.001")

_GRAMMAR = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(?:([eE][+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i))?", re.ASCII)
_SUFFIXES: Mapping[str, Decimal] = {
    **{unit: Decimal(10) ** (3 * power) for unit, power in zip("num", (-3, -2, -1), strict=True)},
    **{unit: Decimal(10) ** (3 * power) for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}


def parse(text: str) -> Decimal:
    """Read a quantity.

    Raises:
        ValueError: It is none.
    """
    match = _GRAMMAR.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if match is None:
        raise ValueError(f"{text!r} is not a quantity such as 500m or 4Gi")
    number, exponent, suffix = match.groups()
    return Decimal(number + (exponent or "")) * _SUFFIXES.get(suffix or "", Decimal(1))


def check_amount(field: str, text: str, *, least: Decimal = Decimal(1)) -> Decimal:
    """Read a quantity of something that there must be some of.

    Raises:
        InvalidInstanceError: It is no quantity, or too small; names the field.
    """
    try:
        amount = parse(text)
    except ValueError as error:
        raise InvalidInstanceError(f"{field}: {error}") from error
    if amount < least:
        raise InvalidInstanceError(f"{field}: must be at least {least}")
    return amount


def check_range(field: str, request: str, limit: str, *, least: Decimal = Decimal(1)) -> None:
    """Check that what is requested is not more than what is the most.

    Raises:
        InvalidInstanceError: It is, or one of the two is no quantity.
    """
    wanted = check_amount(f"{field}_request", request, least=least)
    if wanted > check_amount(f"{field}_limit", limit, least=least):
        raise InvalidInstanceError(f"{field}_request: must not exceed {field}_limit")
