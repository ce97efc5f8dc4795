"""What may stand where a caller put something else: the values of enumerations, found by the name of a field."""

import re
from collections.abc import Sequence
from typing import Any

from msgspec import inspect

_OF_AN_ITEM = re.compile(r"\[.*?\]")


def choices(annotation: Any, field: str) -> list[str]:
    """List the values that a field may have, or nothing if it is no enumeration.

    Args:
        annotation: The type of the whole.
        field: Its name as msgspec writes it, such as `items[...].kind`; empty for the whole itself.
    """
    parts = [part for part in _OF_AN_ITEM.sub("", field).split(".") if part]
    return _walk(inspect.type_info(annotation), parts)


def _walk(shape: inspect.Type, parts: Sequence[str]) -> list[str]:
    match shape:
        case inspect.EnumType() if not parts:
            return [str(one.value) for one in shape.cls]
        case inspect.LiteralType() if not parts:
            return [str(value) for value in shape.values]
        case inspect.Metadata():
            return _walk(shape.type, parts)
        case inspect.UnionType():
            return [value for one in shape.types for value in _walk(one, parts)]
        case inspect.ListType() | inspect.VarTupleType():
            return _walk(shape.item_type, parts)
        case inspect.DictType():
            return _walk(shape.value_type, parts)
        case inspect.StructType() if parts:
            return [
                value for one in shape.fields if one.encode_name == parts[0] for value in _walk(one.type, parts[1:])
            ]
    return []
