"""Decisions about memory, each with its transaction."""

import asyncio
from collections.abc import Sequence

from agent_runtime import ports, quotas
from agent_runtime.memory import domain
from agent_runtime.memory.clients import Meanings
from agent_runtime.memory.domain import DEFAULT_NAMESPACE, MAX_ENTRIES, MAX_MEANT, Candidate, Entry, Found, Query
from agent_runtime.memory.errors import EntryNotFoundError, MemoryFullError
from agent_runtime.memory.repositories import MemoryRepository
from shoal.database import Database, Transaction

_MAX_FOUND = 50


class Memories:
    """Remember, find and forget."""

    def __init__(self, *, database: Database, meanings: Meanings) -> None:
        self._database = database
        self._meanings = meanings

    async def keep(self, account_id: str, key: str, value: str, *, namespace: str, tags: Sequence[str]) -> Entry:
        """Remember something under a key, in place of what was there.

        Raises:
            InvalidEntryError: A part is empty or too long.
            MemoryFullError: There are too many entries already.
        """
        unique = list(dict.fromkeys(tags))
        domain.checked(key, value, namespace, unique)
        meaning = await self._meanings.of(account_id, " ".join((key, *unique, value[:MAX_MEANT])))
        async with self._database.transaction() as tx:
            repository = MemoryRepository(tx)
            await quotas.hold(tx, account_id, "memory")
            entry = await repository.put(account_id, key, value, namespace, unique, meaning)
            if await repository.count(account_id) > MAX_ENTRIES:
                raise MemoryFullError
            return entry

    async def list_for(
        self, account_id: str, *, namespace: str = "", tag: str = "", limit: int, offset: int = 0
    ) -> list[Entry]:
        """List entries, the newest first."""
        async with self._database.reading() as database:
            return await MemoryRepository(database).page(
                account_id, namespace=namespace, tag=tag, limit=limit, offset=offset
            )

    async def get(self, account_id: str, key: str) -> Entry:
        """Read one entry.

        Raises:
            EntryNotFoundError: Nothing stands under this key.
        """
        async with self._database.reading() as database:
            found = await MemoryRepository(database).find(account_id, key)
        if found is None:
            raise EntryNotFoundError
        return found

    async def find(
        self, account_id: str, text: str, *, namespace: str = "", threshold: float = 0.0, limit: int = _MAX_FOUND
    ) -> list[Found]:
        """Find entries that resemble a text by at least `threshold`, most similar first; nothing for an empty text."""
        query = Query.of(text)
        if not query.text:
            return []
        meaning = await self._meanings.of(account_id, text)
        async with self._database.reading() as database:
            candidates = await MemoryRepository(database).candidates(
                account_id, query, namespace=namespace, meaning=meaning
            )
        scored = await asyncio.to_thread(_scored, query, candidates)  # megabytes of text may have to be read
        near = [found for found in scored if found.similarity >= threshold and found.similarity > 0]
        return sorted(near, key=lambda found: (-found.similarity, found.entry.key))[:limit]

    async def remove(self, account_id: str, key: str) -> None:
        """Forget an entry.

        Raises:
            EntryNotFoundError: Nothing stands under this key.
        """
        async with self._database.transaction() as tx:
            if not await MemoryRepository(tx).delete(account_id, key):
                raise EntryNotFoundError

    async def erase(self, tx: Transaction, account_id: str) -> None:
        """Erase what an account that is no more remembered."""
        await MemoryRepository(tx).erase(account_id)

    # what other subjects may ask

    async def search(
        self, account_id: str, query: str, *, namespace: str = "", threshold: float = 0.0, limit: int = 10
    ) -> Sequence[ports.Recollection]:
        """Find entries, most similar first; in every namespace unless one is named."""
        found = await self.find(account_id, query, namespace=namespace, threshold=threshold, limit=limit)
        return [_recollection(one.entry, one.similarity) for one in found]

    async def put(
        self, account_id: str, key: str, value: str, *, namespace: str = DEFAULT_NAMESPACE, tags: Sequence[str] = ()
    ) -> ports.Recollection:
        """Remember something under a key, in place of what was there.

        Raises:
            InvalidEntryError, MemoryFullError: As `keep`.
        """
        return _recollection(await self.keep(account_id, key, value, namespace=namespace, tags=tags))


def _scored(query: Query, candidates: Sequence[Candidate]) -> list[Found]:
    return [Found(one.entry, domain.similarity(query, one.entry, one.evidence)) for one in candidates]


def _recollection(entry: Entry, similarity: float | None = None) -> ports.Recollection:
    return ports.Recollection(
        key=entry.key,
        value=entry.value,
        namespace=entry.namespace,
        tags=tuple(entry.tags),
        updated_at=entry.updated_at,
        similarity=similarity,
    )
