"""The audit log: written before anybody is answered, read by admins, cut when old."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

import msgspec
import structlog

from shoal.crypto import Envelope
from shoal.database import Database, DatabaseUnavailableError
from ssh_manager.audit.domain import MAX_SHOWN, Draft, Page, Purged, Query, Seal
from ssh_manager.audit.repositories import AuditKeyRepository, AuditRepository
from ssh_manager.audit.usecases.chains import Chains
from ssh_manager.backlog import Backlog
from ssh_manager.errors import AuditUnavailableError
from ssh_manager.ports import SYSTEM, Actor, AuditType, Instance

PIECE = 2000


class AuditLog:
    """Append, read and purge.

    Args:
        database: Where it is.
        envelope: Opens the key of the chains.
        retention_days: How long entries are kept.
    """

    def __init__(self, *, database: Database, envelope: Envelope, retention_days: int) -> None:
        self._database = database
        self._envelope = envelope
        self._retention_days = retention_days
        self._seal: Seal | None = None
        self._opened = asyncio.Event()
        self.backlog: Backlog[Draft] = Backlog("audit backlog", self._append)

    async def open(self) -> None:
        """Open the key of the chains; nothing can be written before.

        Raises:
            EnvelopeError: Our key-encryption key is not the one that sealed it.
            DatabaseUnavailableError: Not now.
        """
        async with self._database.transaction() as tx:
            self._seal = await AuditKeyRepository(tx, self._envelope).open()
        self._opened.set()

    async def until_open(self) -> None:
        """Wait until the key of the chains is open."""
        await self._opened.wait()

    @property
    def seal(self) -> Seal:
        """What makes the hashes.

        Raises:
            AuditUnavailableError: The key is not open yet.
        """
        if self._seal is None:
            raise AuditUnavailableError("The audit system is not initialized")
        return self._seal

    async def intent(self, kind: AuditType, instance: Instance, *, by: Actor, details: str) -> int:
        """Write down, before it is done, what somebody asks for; returns the entry's id.

        Raises:
            AuditUnavailableError: It cannot be written; then nothing may be done.
        """
        draft = Draft.of(kind, instance, by=by, details=details)
        return await self._write(msgspec.structs.replace(draft, is_intent=True))

    async def outcome(
        self, intent: int, kind: AuditType, instance: Instance, *, by: Actor, details: str, duration_ms: int = 0
    ) -> None:
        """Write down, before it is answered, what came of it; the log shows this entry in the place of the intent.

        Raises:
            AuditUnavailableError: It cannot be written; the answer must say so.
        """
        draft = Draft.of(kind, instance, by=by, details=details, duration_ms=duration_ms)
        await self._write(msgspec.structs.replace(draft, intent_id=intent))

    async def record(
        self, kind: AuditType, instance: Instance, *, by: Actor, details: str, duration_ms: int = 0
    ) -> None:
        """Write down something that needs no intent, such as a refusal.

        Raises:
            AuditUnavailableError: It cannot be written; the answer must say so.
        """
        await self._write(Draft.of(kind, instance, by=by, details=details, duration_ms=duration_ms))

    def note(self, kind: AuditType, instance: Instance, *, details: str, duration_ms: int = 0) -> None:
        """Write down what happened by itself, as soon as that can be done."""
        self.backlog.add(Draft.of(kind, instance, by=SYSTEM, details=details, duration_ms=duration_ms))

    async def page(self, account_id: str, query: Query) -> Page:
        """Read entries, the newest first, at most `MAX_SHOWN`, and count all that fit.

        Raises:
            AuditUnavailableError: The log was not opened yet.
        """
        _ = self.seal  # what cannot be proved is not shown
        shown = msgspec.structs.replace(query, limit=min(query.limit, MAX_SHOWN))
        async with self._database.reading() as database:
            repository = AuditRepository(database)
            entries, total = await repository.select(account_id, shown), await repository.count(account_id, shown)
        return Page(entries=entries, total=total, limit=shown.limit, offset=shown.offset)

    async def purge(self, account_id: str, *, days: int | None = None) -> Purged:
        """Delete an account's entries of more than so many days, or of more than are kept anyway.

        Raises:
            AuditUnavailableError: The log cannot be changed.
        """
        seal, deleted, piece, kept = self.seal, 0, PIECE, days or self._retention_days
        while piece == PIECE:
            async with self._database.transaction() as tx:
                piece = await Chains(tx, seal).purge(account_id, older_than=timedelta(days=kept), piece=PIECE)
            deleted += piece
        if deleted:
            structlog.get_logger().info("audit_purged", account=account_id, deleted=deleted, days=kept)
        return Purged(deleted, kept)

    async def purge_all(self) -> None:
        """Delete every account's entries that need not be kept."""
        async with self._database.reading() as database:
            accounts = await AuditRepository(database).accounts()
        for account_id in accounts:
            await self.purge(account_id)

    async def accept(self, account_id: str) -> int:
        """Let a log that was tampered with be written again, from what is there; returns its last entry's id."""
        async with self._database.transaction() as tx:
            last_id = await Chains(tx, self.seal).accept(account_id)
        structlog.get_logger().warning("audit_accepted", account=account_id, id=last_id)
        return last_id

    async def anchor(self) -> None:
        """Tell the log where each chain ends: whoever cuts a chain's end off cannot change what was told."""
        async with self._database.reading() as database:
            repository = AuditRepository(database)
            for account_id in await repository.accounts():
                if (head := await repository.head(account_id)) is not None:
                    structlog.get_logger().info(
                        "audit_anchor", account=account_id, id=head.last_id, hash=head.last_hash.hex()
                    )

    async def _write(self, draft: Draft) -> int:
        try:
            async with self._database.transaction() as tx:
                (entry,) = await Chains(tx, self.seal).append(draft.account_id, [draft])
        except DatabaseUnavailableError as error:
            raise AuditUnavailableError from error
        return entry.id

    async def _append(self, drafts: Sequence[Draft]) -> None:
        """Append what waited: one transaction, the chains in the order of accounts, so that no two writers cross."""
        by_account = sorted(drafts, key=lambda draft: draft.account_id)
        async with self._database.transaction() as tx:
            chains = Chains(tx, self.seal)
            for account_id, waiting in groupby(by_account, key=lambda draft: draft.account_id):
                await chains.append(account_id, list(waiting))
