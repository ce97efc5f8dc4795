"""Cursors: opaque to callers, `limit` bounded, `next` null on the last page."""

from typing import Annotated, Generic, TypeVar

from litestar.params import Parameter
from msgspec import Struct

T = TypeVar("T")

Limit = Annotated[int, Parameter(ge=1, le=1000)]
"""A query parameter; Litestar heeds bounds of its own `Parameter` only, not msgspec's `Meta`."""


class Page(Struct, Generic[T], frozen=True):
    """Some items and where to go on."""

    items: list[T]
    next: str | None = None
