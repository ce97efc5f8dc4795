"""Reckoning: arithmetic, dates and units, exact in decimals."""

import ast
import re
from calendar import day_name
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Context, Decimal, DecimalException, DivisionByZero, InvalidOperation, Overflow
from types import MappingProxyType

from agent_runtime.delegation.domain.booster.refusal import NotForBoosterError

_CONTEXT = Context(prec=34, Emax=6144, Emin=-6143, traps=[DivisionByZero, InvalidOperation, Overflow])
_MAX_EXPRESSION, _MAX_POWER = 1000, 1000
_BINARY: Mapping[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = MappingProxyType(
    {
        ast.Add: _CONTEXT.add,
        ast.Sub: _CONTEXT.subtract,
        ast.Mult: _CONTEXT.multiply,
        ast.Div: _CONTEXT.divide,
        ast.FloorDiv: lambda left, right: _floor(_CONTEXT.divide(left, right)),
        ast.Mod: lambda left, right: _CONTEXT.subtract(
            left, _CONTEXT.multiply(right, _floor(_CONTEXT.divide(left, right)))
        ),
    }
)
_DATE_STEP = re.compile(r"\s*(\d{4}-\d{2}-\d{2})\s*([+-])\s*(\d{1,7})\s*(day|week)s?\s*", re.IGNORECASE)
_DATE_PAIR = re.compile(r"\s*(\d{4}-\d{2}-\d{2})\s*(?:to|until|\.\.)\s*(\d{4}-\d{2}-\d{2})\s*", re.IGNORECASE)
_MEASURE = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*([A-Za-z°]+)\s+(?:to|in|as)\s+([A-Za-z°]+)\s*")

_UNITS: Mapping[str, tuple[str, Decimal]] = MappingProxyType(
    {
        unit: (kind, Decimal(factor))
        for kind, units in {
            "length": {"mm": "0.001", "cm": "0.01", "m": "1", "km": "1000", "in": "0.0254", "ft": "0.3048",
                       "yd": "0.9144", "mi": "1609.344", "nmi": "1852"},
            "mass": {"mg": "0.000001", "g": "0.001", "kg": "1", "t": "1000", "oz": "0.028349523125",
                     "lb": "0.45359237"},
            "time": {"ms": "0.001", "s": "1", "min": "60", "h": "3600", "d": "86400"},
            "information": {"B": "1", "kB": "1000", "MB": "1000000", "GB": "1000000000", "TB": "1000000000000",
                            "KiB": "1024", "MiB": "1048576", "GiB": "1073741824", "TiB": "1099511627776"},
            "volume": {"ml": "0.001", "l": "1", "floz": "0.0295735295625", "gal": "3.785411784"},
        }.items()
        for unit, factor in units.items()
    }
)  # fmt: skip
"""Units by symbol: of what, and how much of its first unit in SI."""
_DEGREES = ("C", "F", "K")


def calculate(text: str) -> str:
    """Work out an expression of numbers, `+ - * / // % **` and parentheses, to 34 digits."""
    if len(text) > _MAX_EXPRESSION:
        raise NotForBoosterError("the expression is too long")
    try:
        return _plain(_value(ast.parse(text.strip(), mode="eval").body))
    except (SyntaxError, ValueError):
        raise NotForBoosterError("this is no expression of numbers") from None
    except DecimalException as error:
        raise NotForBoosterError(f"it has no result: {type(error).__name__}") from None


def add_to_date(text: str) -> str:
    """Add days or weeks to a date: `2026-01-31 + 4 weeks`."""
    found = _DATE_STEP.fullmatch(text)
    if found is None:
        raise NotForBoosterError("write 2026-01-31 + 4 weeks")
    days = int(found[3]) * (7 if found[4].lower() == "week" else 1)
    try:
        return (_date(found[1]) + timedelta(days=days if found[2] == "+" else -days)).isoformat()
    except OverflowError:
        raise NotForBoosterError("there is no such date") from None


def days_between(text: str) -> str:
    """Count the days between two dates: `2026-01-01 to 2026-03-01`."""
    found = _DATE_PAIR.fullmatch(text)
    if found is None:
        raise NotForBoosterError("write 2026-01-01 to 2026-03-01")
    return f"{(_date(found[2]) - _date(found[1])).days} days"


def weekday(text: str) -> str:
    """Name the weekday of a date."""
    return day_name[_date(text.strip()).weekday()]


def convert_units(text: str) -> str:
    """Convert a measure: `26.2 mi to km`, `451 F to C`, `3 GiB in MB`."""
    found = _MEASURE.fullmatch(text)
    if found is None:
        raise NotForBoosterError("write 26.2 mi to km")
    amount, source, target = Decimal(found[1]), found[2].removeprefix("°"), found[3].removeprefix("°")
    if source in _DEGREES and target in _DEGREES:
        return f"{_plain(_from_kelvin(_to_kelvin(amount, source), target))} {target}"
    kinds = _UNITS.get(source), _UNITS.get(target)
    if kinds[0] is None or kinds[1] is None or kinds[0][0] != kinds[1][0]:
        raise NotForBoosterError(f"{source} cannot be had in {target}")
    return f"{_plain(_CONTEXT.divide(_CONTEXT.multiply(amount, kinds[0][1]), kinds[1][1]))} {target}"


def _value(node: ast.expr) -> Decimal:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _CONTEXT.create_decimal(str(number))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _CONTEXT.minus(_value(operand))
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left), _value(right))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](_value(left), _value(right))
    raise NotForBoosterError("only numbers, + - * / // % ** and parentheses")


def _power(base: Decimal, exponent: Decimal) -> Decimal:
    if abs(exponent) > _MAX_POWER:
        raise NotForBoosterError(f"a power of more than {_MAX_POWER}")
    return _CONTEXT.power(base, exponent)


def _floor(value: Decimal) -> Decimal:
    return value.to_integral_value(rounding="ROUND_FLOOR", context=_CONTEXT)


def _plain(value: Decimal) -> str:
    """Write a number without an exponent and without zeros at its end."""
    whole = value.normalize(_CONTEXT)
    return f"{whole:f}" if whole else "0"


def _to_kelvin(amount: Decimal, unit: str) -> Decimal:
    if unit == "F":
        amount, unit = _CONTEXT.divide(_CONTEXT.multiply(amount - 32, Decimal(5)), Decimal(9)), "C"
    return _CONTEXT.add(amount, Decimal("273.15")) if unit == "C" else amount


def _from_kelvin(kelvin: Decimal, unit: str) -> Decimal:
    if unit == "K":
        return kelvin
    celsius = _CONTEXT.subtract(kelvin, Decimal("273.15"))
    if unit == "C":
        return celsius
    return _CONTEXT.add(_CONTEXT.divide(_CONTEXT.multiply(celsius, Decimal(9)), Decimal(5)), Decimal(32))


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotForBoosterError(f"{text!r} is no date") from None


RECKONING: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "calculate": calculate,
        "convert-units": convert_units,
        "date-add": add_to_date,
        "date-difference": days_between,
        "date-weekday": weekday,
    }
)
