"""Copies: what a service must know of rows that another service owns.

A copy is fed by events and, once, by the owner's export, in any order: every row carries the owner's version and a
copy takes it only if newer; deleted rows stay as tombstones. Until the export has been read to its end the copy is
not complete, and the service is not ready. A service that was away for longer than events are kept reads the export
again.

Owners keep ended rows for long, not for ever, and may be restored from a backup. So a copy can be swept: what was here
before an export was read, and was not told of in the whole of it, is gone. What came here by an event while the export
was read is left alone. An export that tells of nothing sweeps nothing: an owner without any row has lost its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable
from datetime import timedelta
from typing import Any

import msgspec
import structlog
from msgspec import Struct

from shoal.database import Database, DatabaseUnavailableError, Transaction
from shoal.http.pagination import Page
from shoal.peers import Peers, PeerUnavailableError
from shoal.subscriptions import Handlers
from shoal_events import Event

PAGE = 500
GOOD_FOR = timedelta(days=3)
"""Less than half of the time that events are kept."""


class ExportedFact(Struct, frozen=True):
    """One exported row, told as the fact that would make it what it is now."""

    type: str
    fact: msgspec.Raw


class Sweep(Struct, frozen=True):
    """How a copy finds and ends what its owner has no longer.

    Args:
        known: Lists the rows here that have not ended, each by a key of the copy's choice.
        key: Tells of which row a fact speaks.
        end: Ends a row here, as if its end had been told.
    """

    known: Callable[[Transaction], Awaitable[Collection[Hashable]]]
    key: Callable[[Any], Hashable]
    end: Callable[[Transaction, Any], Awaitable[None]]


class Copy(Struct, frozen=True):
    """One kind of row that is copied.

    Args:
        name: What it is called here, such as `pairings`.
        owner: The service that owns the rows.
        handlers: What is done with each fact: the handlers of the subscription that keeps the copy up to date.
        is_required: Whether the service cannot work before the copy is complete.
        sweep: How rows are ended of which the owner does not know any more; without it they stay.
    """

    name: str
    owner: str
    handlers: Handlers
    is_required: bool = True
    sweep: Sweep | None = None


def exported(event: Event) -> ExportedFact:
    """Tell a row as a fact."""
    return ExportedFact(event.event_type, msgspec.Raw(event.to_json()))


class Copier:
    """Makes one copy complete, and says when it is not."""

    def __init__(self, copy: Copy, *, database: Database, peers: Peers) -> None:
        self.name = f"copy {copy.name}"
        self._copy = copy
        self._database = database
        self._peers = peers
        self._is_complete = False

    def problem(self) -> str | None:
        """Say that the copy is not complete, or None."""
        if self._is_complete or not self._copy.is_required:
            return None
        return f"{self._copy.owner}'s {self._copy.name} are not all here yet"

    async def run(self) -> None:
        """Read the owner's export where needed; then stand by and refresh before events could be forgotten."""
        while True:
            try:
                if not await self._is_fresh():
                    await self._read_all()
                self._is_complete = True
                await asyncio.sleep(GOOD_FOR.total_seconds() / 4)
            except (PeerUnavailableError, DatabaseUnavailableError) as error:
                structlog.get_logger().info("copy_waits", copy=self._copy.name, reason=str(error))
                await asyncio.sleep(0.3)

    async def _is_fresh(self) -> bool:
        async with self._database.reading() as database:
            return bool(
                await database.value(
                    "select completed_at > now() - $2::interval from copy_state where name = $1",
                    *(self._copy.name, GOOD_FOR),
                )
            )

    async def _read_all(self) -> None:
        known = await self._known()
        told: set[Hashable] = set()
        after: str | None = ""
        while after is not None:
            query: dict[str, str | int] = {"after": after, "limit": PAGE}
            page = await self._peers.get(self._copy.owner, "/internal/export", Page[ExportedFact], **query)
            async with self._database.transaction() as tx:
                for item in page.items:
                    told.add(await self._take(tx, item))
            after = page.next
        await self._sweep(known - told, is_told=bool(told - {None}))
        async with self._database.transaction() as tx:
            await tx.execute(
                """
                insert into copy_state (name, completed_at) values ($1, now())
                    on conflict (name) do update set completed_at = now()
                """,
                self._copy.name,
            )

    async def _known(self) -> set[Hashable]:
        if self._copy.sweep is None:
            return set()
        async with self._database.reading() as database:
            return set(await self._copy.sweep.known(database))

    async def _take(self, tx: Transaction, item: ExportedFact) -> Hashable:
        """Take a fact; returns the key of the row that it tells of, if there is any to be swept."""
        for event, handler in self._copy.handlers.items():
            if event.event_type == item.type:
                fact = event.from_json(bytes(item.fact))
                await handler(tx, fact)
                return self._copy.sweep.key(fact) if self._copy.sweep else None
        return None

    async def _sweep(self, gone: Collection[Hashable], *, is_told: bool) -> None:
        if self._copy.sweep is None or not gone:
            return
        log = structlog.get_logger()
        if not is_told:
            log.warning("copy_not_swept", copy=self._copy.name, rows=len(gone), reason="its owner has none at all")
            return
        for key in gone:
            async with self._database.transaction() as tx:
                await self._copy.sweep.end(tx, key)
        log.info("copy_swept", copy=self._copy.name, rows=len(gone))
