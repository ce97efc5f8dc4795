"""Rows of `audit`, `audit_head`, `audit_key` and `allowed_addresses`."""

import os
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from shoal.crypto import Envelope
from shoal.database import Transaction
from shoal.resealing import SealedColumn
from ssh_manager.audit.domain import Cut, Entry, Head, LockedHead, Query, Seal

KEY_PLACE = "ssh_manager/audit_key/sealed"
SEALED = SealedColumn("audit_key", "sealed", KEY_PLACE)
"""The key of every chain, in its place."""


class _LockedRow(Head, frozen=True, kw_only=True):
    now: datetime


class AuditRepository:
    """The chains. Every writer holds the head of the account's chain until it commits."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def lock(self, account_id: str) -> LockedHead:
        """Hold a head, made at the first time."""
        row = await self._tx.find(
            _LockedRow,
            """
            insert into audit_head as head (account_id)
            values ($1)
                on conflict (account_id) do update set account_id = head.account_id
            returning account_id, last_id, last_hash, purged_id, purged_hash, mac,
                      greatest(clock_timestamp(), last_at) as now
            """,
            account_id,
        )
        assert row is not None  # noqa: S101 - it was made or found
        return LockedHead(Head(**{name: getattr(row, name) for name in Head.__struct_fields__}), row.now)

    async def put_head(self, head: Head, *, at: datetime | None = None) -> None:
        """Write where a chain begins and ends, and when that was if something was added."""
        await self._tx.execute(
            """
            insert into audit_head as kept (account_id, last_id, last_hash, purged_id, purged_hash, mac, last_at)
            values ($1, $2, $3, $4, $5, $6, coalesce($7::timestamptz, '-infinity'))
                on conflict (account_id) do update
               set last_id = excluded.last_id, last_hash = excluded.last_hash, purged_id = excluded.purged_id,
                   purged_hash = excluded.purged_hash, mac = excluded.mac, last_at = coalesce($7, kept.last_at)
            """,
            *(head.account_id, head.last_id, head.last_hash, head.purged_id, head.purged_hash, head.mac, at),
        )

    async def insert(self, entries: Sequence[Entry]) -> None:
        """Write entries."""
        await self._tx.execute_many(
            """
            insert into audit (account_id, instance_id, instance_name, event_type, username, source_ip, details,
                               duration_ms, is_intent, intent_id, id, created_at, hash)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            """,
            [msgspec.structs.astuple(entry) for entry in entries],
        )

    async def last_older(self, account_id: str, age: timedelta, *, within: int) -> Cut | None:
        """Find the last entry of an age among so many of the oldest."""
        return await self._tx.find(
            Cut,
            """
            select id, hash
              from (select id, hash
                      from audit
                     where account_id = $1 and created_at < now() - $2::interval
                     order by id
                     limit $3) as old
             order by id desc
             limit 1
            """,
            *(account_id, age, within),
        )

    async def end(self, account_id: str) -> Cut | None:
        """Find the last entry."""
        return await self._tx.find(
            Cut, "select id, hash from audit where account_id = $1 order by id desc limit 1", account_id
        )

    async def delete(self, account_id: str, cut: Cut) -> int:
        """Delete everything up to a place; returns how much that was."""
        return int(await self._tx.value("select purge_audit($1, $2)", account_id, cut.id))

    async def accounts(self) -> list[str]:
        """List the accounts that have a chain."""
        return await self._tx.all(str, "select account_id from audit_head order by account_id")

    async def head(self, account_id: str) -> Head | None:
        """Read where a chain begins and ends."""
        return await self._tx.find(
            Head,
            "select account_id, last_id, last_hash, purged_id, purged_hash, mac from audit_head where account_id = $1",
            account_id,
        )

    async def page(self, account_id: str, *, after: int, limit: int) -> list[Entry]:
        """Read entries in the order of the chain."""
        return await self._tx.all(
            Entry,
            """
            select account_id, instance_id, instance_name, event_type, username, source_ip, details, duration_ms,
                   is_intent, intent_id, id, created_at, hash
              from audit
             where account_id = $1 and id > $2
             order by id
             limit $3
            """,
            *(account_id, after, limit),
        )

    async def select(self, account_id: str, query: Query) -> list[Entry]:
        """Read entries as they are shown, the newest first: an intent only while it has no outcome."""
        return await self._tx.all(
            Entry,
            """
            select account_id, instance_id, instance_name, event_type, username, source_ip, details, duration_ms,
                   is_intent, intent_id, id, created_at, hash
              from audit as a
             where account_id = $1
               and ($2::bigint is null or instance_id = $2)
               and ($3::text is null or instance_name = $3)
               and ($4::text is null or event_type = $4)
               and ($5::text is null or username = $5)
               and ($6::timestamptz is null or created_at >= $6)
               and ($7::timestamptz is null or created_at <= $7)
               and not (is_intent and exists (select from audit as o
                                               where o.account_id = a.account_id and o.intent_id = a.id))
             order by id desc
             limit $8 offset $9
            """,
            *(account_id, *self._filters(query), query.limit, query.offset),
        )

    async def count(self, account_id: str, query: Query) -> int:
        """Count the entries that `select` would show without limit and offset."""
        return int(
            await self._tx.value(
                """
                select count(*)
                  from audit as a
                 where account_id = $1
                   and ($2::bigint is null or instance_id = $2)
                   and ($3::text is null or instance_name = $3)
                   and ($4::text is null or event_type = $4)
                   and ($5::text is null or username = $5)
                   and ($6::timestamptz is null or created_at >= $6)
                   and ($7::timestamptz is null or created_at <= $7)
                   and not (is_intent and exists (select from audit as o
                                                   where o.account_id = a.account_id and o.intent_id = a.id))
                """,
                *(account_id, *self._filters(query)),
            )
        )

    def _filters(self, query: Query) -> tuple[object, ...]:
        return (
            *(query.instance_id, query.instance_name, query.event_type, query.username),
            *(query.since, query.until),
        )


class AuditKeyRepository:
    """The key under which every chain's hashes are made, sealed."""

    def __init__(self, tx: Transaction, envelope: Envelope) -> None:
        self._tx = tx
        self._envelope = envelope

    async def open(self) -> Seal:
        """Open the key; the first one to ask makes it.

        Raises:
            EnvelopeError: Our key-encryption key is not the one that sealed it.
        """
        await self._tx.execute(
            "insert into audit_key (sealed) values ($1) on conflict do nothing",
            self._envelope.seal(os.urandom(32), place=KEY_PLACE),
        )
        return Seal(self._envelope.open(await self._tx.value("select sealed from audit_key"), place=KEY_PLACE))


class AddressRepository:
    """From which addresses and networks callers may reach instances."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def find(self, instance_id: int) -> str:
        """Read an instance's entries as they were given; empty when there are none."""
        found = await self._tx.value("select entries from allowed_addresses where instance_id = $1", instance_id)
        return str(found or "")

    async def put(self, instance_id: int, account_id: str, entries: str) -> None:
        """Replace an instance's entries."""
        await self._tx.execute(
            """
            insert into allowed_addresses (instance_id, account_id, entries)
            values ($1, $2, $3)
                on conflict (instance_id) do update set entries = excluded.entries, updated_at = now()
            """,
            *(instance_id, account_id, entries),
        )

    async def delete(self, instance_id: int) -> None:
        """Forget an instance's entries."""
        await self._tx.execute("delete from allowed_addresses where instance_id = $1", instance_id)
