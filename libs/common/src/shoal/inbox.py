"""Inbox: a fact's effects happen once, however often it is delivered."""

from uuid import UUID

from shoal.database import Transaction

RETENTION_DAYS = 14
"""Twice the age at which the stream forgets: no redelivery can outlive its row."""

PIECE = 5000
"""How many rows one statement deletes, so that no backlog is too large to be deleted in time."""


async def once(tx: Transaction, consumer: str, event_id: UUID) -> bool:
    """Claim a fact for a consumer inside the transaction of its effects; False when the effects stand already."""
    return bool(
        await tx.execute(
            "insert into inbox (consumer, event_id) values ($1, $2) on conflict do nothing",
            *(consumer, event_id),
        )
    )


async def forget_old(tx: Transaction) -> int:
    """Delete some of the rows that no redelivery can need any more; returns how many: fewer than `PIECE` are all."""
    return await tx.execute(
        """
        delete from inbox
         where (consumer, event_id) in (select consumer, event_id
                                          from inbox
                                         where received_at < now() - make_interval(days => $1)
                                         limit $2)
        """,
        *(RETENTION_DAYS, PIECE),
    )
