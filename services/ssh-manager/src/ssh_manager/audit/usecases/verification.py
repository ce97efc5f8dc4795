"""Proof that nobody changed the audit log from outside."""

from shoal.database import Database, Transaction
from ssh_manager.audit.domain import Entry, Head, Seal, Verdict
from ssh_manager.audit.repositories import AuditRepository

PIECE = 1000


async def verify(
    database: Database, seal: Seal, *, account_id: str | None = None, anchors: dict[int, str] | None = None
) -> list[Verdict]:
    """Check chains from their checkpoints to their ends.

    Args:
        database: Where they are.
        seal: What made their hashes.
        account_id: Check this one only.
        anchors: Hashes by entry that were told elsewhere before; each must be there, unless it was purged.
    """
    verdicts = []
    async with database.reading() as reading:
        accounts = [account_id] if account_id else await AuditRepository(reading).accounts()
    for one in accounts:
        async with database.transaction() as tx:
            await tx.execute("set transaction isolation level repeatable read, read only")
            verdicts.append(await _verify(tx, seal, one, anchors or {}))
    return verdicts


async def _verify(tx: Transaction, seal: Seal, account_id: str, anchors: dict[int, str]) -> Verdict:
    repository = AuditRepository(tx)
    head = await repository.head(account_id)
    if head is None:
        return Verdict(account_id=account_id, first_id=0, last_id=0, last_hash="", problem="there is no such log")
    if not seal.is_genuine(head):
        return _verdict(head, head.last_id, "the end of the log is not as it was written")
    number, previous = head.purged_id, head.purged_hash
    while entries := await repository.page(account_id, after=number, limit=PIECE):
        for entry in entries:
            number += 1
            if (problem := _problem(entry, number, previous, seal, anchors)) is not None:
                return _verdict(head, number, problem)
            previous = entry.hash
    if (number, previous) != (head.last_id, head.last_hash):
        return _verdict(head, number + 1, "entries are missing at the end")
    lost = [anchored for anchored in anchors if anchored > head.last_id]
    return _verdict(head, min(lost), "entries are missing at the end") if lost else _verdict(head)


def _problem(entry: Entry, number: int, previous: bytes, seal: Seal, anchors: dict[int, str]) -> str | None:
    if entry.id != number:
        return "an entry is missing"
    if seal.of_entry(entry, previous) != entry.hash:
        return "an entry is not as it was written"
    if number in anchors and anchors[number] != entry.hash.hex():
        return "an entry is not the one that was told of elsewhere"
    return None


def _verdict(head: Head, bad_id: int | None = None, problem: str = "") -> Verdict:
    return Verdict(
        account_id=head.account_id,
        first_id=head.purged_id + 1,
        last_id=head.last_id,
        last_hash=head.last_hash.hex(),
        bad_id=bad_id,
        problem=problem,
    )
