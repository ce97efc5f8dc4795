"""Copies: what a service must know of rows that another service owns.

A copy is fed by events and, once, by the owner's export, in any order: every row carries the owner's version and a
copy takes it only if newer; deleted rows stay as tombstones. Until the export has been read to its end the copy is
not complete, and the service is not ready. A service that was away for longer than events are kept reads the export
again.
"""

import asyncio
from datetime import timedelta

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


class Copy(Struct, frozen=True):
    """One kind of row that is copied.

    Args:
        name: What it is called here, such as `pairings`.
        owner: The service that owns the rows.
        handlers: What is done with each fact: the handlers of the subscription that keeps the copy up to date.
        is_required: Whether the service cannot work before the copy is complete.
    """

    name: str
    owner: str
    handlers: Handlers
    is_required: bool = True


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
                    self._copy.name,
                    GOOD_FOR,
                )
            )

    async def _read_all(self) -> None:
        after: str | None = ""
        while after is not None:
            query: dict[str, str | int] = {"after": after, "limit": PAGE}
            page = await self._peers.get(self._copy.owner, "/internal/export", Page[ExportedFact], **query)
            async with self._database.transaction() as tx:
                for item in page.items:
                    await self._take(tx, item)
            after = page.next
        async with self._database.transaction() as tx:
            await tx.execute(
                """
                insert into copy_state (name, completed_at) values ($1, now())
                    on conflict (name) do update set completed_at = now()
                """,
                self._copy.name,
            )

    async def _take(self, tx: Transaction, item: ExportedFact) -> None:
        for event, handler in self._copy.handlers.items():
            if event.event_type == item.type:
                await handler(tx, event.from_json(bytes(item.fact)))
