"""Cursors: opaque to callers, `limit` bounded, `next` null on the last page."""

from typing import Annotated, Generic, TypeVar

from msgspec import Meta, Struct

T = TypeVar("T")

Limit = Annotated[int, Meta(ge=1, le=1000)]


class Page(Struct, Generic[T], frozen=True):
    """Some items and where to go on."""

    items: list[T]
    next: str | None = None
