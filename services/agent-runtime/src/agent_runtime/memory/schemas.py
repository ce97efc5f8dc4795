"""What comes in and what goes out, in the contract's words."""

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from agent_runtime.memory.domain import (
    DEFAULT_NAMESPACE,
    MAX_KEY,
    MAX_NAMESPACE,
    MAX_TAG,
    MAX_TAGS,
    MAX_VALUE_BYTES,
    Entry,
    Found,
)

Key = Annotated[str, Meta(min_length=1, max_length=MAX_KEY, pattern=r"\S")]
Namespace = Annotated[str, Meta(min_length=1, max_length=MAX_NAMESPACE, pattern=r"\S")]
Tag = Annotated[str, Meta(min_length=1, max_length=MAX_TAG, pattern=r"\S")]


class KeepEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/memory`."""

    key: Key
    value: Annotated[str, Meta(max_length=MAX_VALUE_BYTES)]
    namespace: Namespace = DEFAULT_NAMESPACE
    tags: Annotated[list[Tag], Meta(max_length=MAX_TAGS)] = []


class EntryView(Struct, frozen=True, kw_only=True):
    """The contract's `MemoryEntry`."""

    key: str
    value: str
    namespace: str
    tags: list[str]
    updated_at: datetime
    similarity: float | UnsetType = UNSET
    """How much it resembles what was searched for, 0 to 1; there after a search only."""

    @classmethod
    def from_domain(cls, entry: Entry, similarity: float | UnsetType = UNSET) -> "EntryView":
        """Show an entry."""
        return cls(
            key=entry.key,
            value=entry.value,
            namespace=entry.namespace,
            tags=entry.tags,
            updated_at=entry.updated_at,
            similarity=similarity,
        )

    @classmethod
    def from_found(cls, found: Found) -> "EntryView":
        """Show an entry that was searched for."""
        return cls.from_domain(found.entry, found.similarity)


class EntryForgotten(Struct, frozen=True):
    """Answer of `DELETE /api/memory/{key}`."""

    success: bool = True
