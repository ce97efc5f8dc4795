"""Rows as values."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import msgspec

T = TypeVar("T")

_NATIVE = (datetime, date, time, timedelta, Decimal, UUID, bytes)
_SCALARS = (*_NATIVE, str, int, float, bool)


def to_struct(record: Mapping[str, Any], row: type[T]) -> T:
    """Make a value of a row by column name; a scalar type takes the only column."""
    if row in _SCALARS:
        (value,) = record.values()
        return msgspec.convert(value, row, strict=False, builtin_types=_NATIVE)
    return msgspec.convert(dict(record.items()), row, strict=False, builtin_types=_NATIVE)


def to_structs(records: Iterable[Mapping[str, Any]], row: type[T]) -> list[T]:
    """Make a list of values, each as `to_struct` makes it."""
    if row in _SCALARS:
        return [to_struct(record, row) for record in records]
    rows = [dict(record.items()) for record in records]
    return msgspec.convert(rows, list[row], strict=False, builtin_types=_NATIVE)  # type: ignore[valid-type]
