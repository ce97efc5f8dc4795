"""Changes of a chain; whoever makes one holds its head until the transaction ends."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from shoal.database import Transaction
from ssh_manager.audit.domain import Cut, Draft, Entry, Head, LockedHead, Seal
from ssh_manager.audit.errors import ChainTamperedError
from ssh_manager.audit.repositories import AuditRepository


class Chains:
    """Append to chains, cut off their beginnings, and accept what others made of them, in one transaction."""

    def __init__(self, tx: Transaction, seal: Seal) -> None:
        self._repository = AuditRepository(tx)
        self._seal = seal

    async def append(self, account_id: str, drafts: Sequence[Draft]) -> list[Entry]:
        """Add entries to the end of an account's chain.

        Raises:
            ChainTamperedError: Its head is not as we left it.
        """
        locked = await self._lock(account_id)
        entries, head = self._seal.continued(locked.head, drafts, at=locked.now)
        await self._repository.insert(entries)
        await self._repository.put_head(head, at=locked.now)
        return entries

    async def purge(self, account_id: str, *, older_than: timedelta, piece: int) -> int:
        """Cut the beginning of a chain off, at most so many entries; returns how many.

        Raises:
            ChainTamperedError: Its head is not as we left it.
        """
        locked = await self._lock(account_id)
        cut = await self._repository.last_older(account_id, older_than, within=piece)
        if cut is None:
            return 0
        deleted = await self._repository.delete(account_id, cut)
        purged = msgspec.structs.replace(locked.head, purged_id=cut.id, purged_hash=cut.hash)
        await self._repository.put_head(self._seal.signed(purged))
        return deleted

    async def accept(self, account_id: str) -> int:
        """Make a chain's head say what there is, so that it can be appended to; returns the last entry's id.

        Entries that were tampered with stay as they are, and are still found.
        """
        head = await self._repository.head(account_id) or Head(account_id=account_id)
        end = await self._repository.end(account_id) or Cut(head.purged_id, head.purged_hash)
        accepted = msgspec.structs.replace(head, last_id=end.id, last_hash=end.hash)
        await self._repository.put_head(self._seal.signed(accepted))
        return end.id

    async def _lock(self, account_id: str) -> LockedHead:
        locked = await self._repository.lock(account_id)
        if not self._seal.is_genuine(locked.head):
            raise ChainTamperedError
        return locked
