"""SQL of the table `outbox`, for those who work through it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from shoal.database import Transaction
from shoal.leases import HELD, Lease

BATCH = 256
MAX_ATTEMPTS = 5
PIECE = 5000
"""How many rows one statement deletes, so that no backlog is too large to be deleted in time."""


class OutboxRow(Struct, frozen=True):
    """A fact on its way."""

    id: int
    event_id: UUID
    subject: str
    type: str
    entity_id: str
    payload: bytes
    traceparent: str | None
    recorded_at: datetime


class Backlog(Struct, frozen=True):
    """What waits: how many facts, for how many seconds the oldest, and how many that NATS refuses for good."""

    pending: int
    age_s: float
    blocked: int


_WAITING = "outbox where published_at is null and rejected_at is null"
BACKLOG = f"""
    select (select count(*) from {_WAITING}) as pending,
           coalesce((select extract(epoch from now() - recorded_at)::float8
                       from {_WAITING}
                      order by id
                      limit 1), 0) as age_s,
           (select count(*) from outbox where published_at is null and rejected_at is not null) as blocked
"""  # noqa: S608 - our own words, each with the condition of its index


async def pending(tx: Transaction, lease: Lease) -> list[OutboxRow]:
    """Take what waits, and keep the lease standing until the commit; nothing once it is another's."""
    return await tx.all(
        OutboxRow,
        f"""
        select id, event_id, subject, type, entity_id, payload, traceparent, recorded_at
          from outbox as waiting
         where {HELD}
           and published_at is null
           and rejected_at is null
           and not exists (select from outbox as earlier
                            where earlier.entity_id = waiting.entity_id
                              and earlier.rejected_at is not null
                              and earlier.published_at is null)
         order by id
         limit $3
           for update skip locked
        """,  # noqa: S608 - our own words
        lease.key,
        lease.epoch,
        BATCH,
    )


async def mark(tx: Transaction, published: Sequence[int]) -> None:
    """Note what the stream has without waiting for the disk: a mark that is lost publishes again, under the same id."""
    await tx.execute(
        """
        with unhurried as materialized (
            select set_config('synchronous_commit', 'off', true)
        )
        update outbox
           set published_at = now()
         where id = any($1::bigint[])
           and exists (select from unhurried)
        """,
        published,
    )


async def count_rejection(tx: Transaction, row_id: int, reason: str) -> bool:
    """Count that NATS refused a fact for good; returns whether it is held back from now on."""
    is_blocked: bool = await tx.value(
        """
        update outbox
           set attempts = attempts + 1, rejection = $2, rejected_at = case when attempts + 1 >= $3 then now() end
         where id = $1
        returning rejected_at is not null
        """,
        *(row_id, reason, MAX_ATTEMPTS),
    )
    return is_blocked


async def measured(tx: Transaction) -> Backlog:
    """Count what waits."""
    found = await tx.find(Backlog, BACKLOG)
    assert found is not None  # noqa: S101 - an aggregate always has a row
    return found


async def forget_published(tx: Transaction) -> int:
    """Delete some of the rows published more than a day ago; returns how many: fewer than `PIECE` are all."""
    return await tx.execute(
        """
        delete from outbox
         where id in (select id from outbox where published_at < now() - interval '1 day' limit $1)
        """,
        PIECE,
    )
