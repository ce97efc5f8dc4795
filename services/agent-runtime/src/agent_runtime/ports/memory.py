"""What agents remember."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct


class Recollection(Struct, frozen=True, kw_only=True):
    """One entry of memory; `similarity` is 0 to 1, and there only after a search."""

    key: str
    value: str
    namespace: str
    tags: tuple[str, ...]
    updated_at: datetime
    similarity: float | None = None


class Memories(Protocol):
    """What agents of an account were told to remember."""

    async def search(
        self, account_id: str, query: str, *, namespace: str = "", threshold: float = 0.0, limit: int = 10
    ) -> Sequence[Recollection]:
        """Find entries, most similar first; in every namespace unless one is named."""
        ...

    async def put(
        self, account_id: str, key: str, value: str, *, namespace: str = "default", tags: Sequence[str] = ()
    ) -> Recollection:
        """Remember something under a key, in place of what was there.

        Raises:
            ValidationError: Too long, or no key.
        """
        ...
