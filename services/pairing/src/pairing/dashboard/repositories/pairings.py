"""SQL of pairings and their history."""

from datetime import timedelta
from typing import Any

from pairing.dashboard.domain import EndReason, HistoryEntry, Pairing
from pairing.dashboard.errors import PairingNotFoundError
from shoal.database import Transaction


class PairingRepository:
    """Rows of `pairing`, one per pairing for ever, and its history."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(
        self, pairing_id: str, *, account_id: str, user_id: str, name: str, token_hash: bytes, ttl: timedelta
    ) -> Pairing:
        """Add a pending pairing whose token lives for `ttl` by the database's clock."""
        return await self._one(
            """
            insert into pairing (id, account_id, user_id, name, token_hash, expires_at)
            values ($1, $2, $3, $4, $5, now() + $6)
            returning id, account_id, user_id, name, status, expires_at, agent_id, handle, instance_info,
                      telemetry_token_hash, version, created_at, confirmed_at, last_seen
            """,
            *(pairing_id, account_id, user_id, name, token_hash, ttl),
        )

    async def confirm(
        self,
        token_hash: bytes,
        *,
        agent_id: str,
        handle: str,
        info: dict[str, Any] | None,
        telemetry_token_hash: bytes,
    ) -> Pairing | None:
        """Make the pending pairing with this token active: one statement, so that one confirmation wins."""
        return await self._tx.find(
            Pairing,
            """
            update pairing
               set status = 'active', agent_id = $2, handle = $3, instance_info = $4, telemetry_token_hash = $5,
                   confirmed_at = now(), last_seen = now(), version = version + 1
             where token_hash = $1
               and status = 'pending'
               and expires_at > now()
            returning id, account_id, user_id, name, status, expires_at, agent_id, handle, instance_info,
                      telemetry_token_hash, version, created_at, confirmed_at, last_seen
            """,
            *(token_hash, agent_id, handle, info, telemetry_token_hash),
        )

    async def is_expired(self, token_hash: bytes) -> bool:
        """Tell whether a token was never redeemed and no longer can be."""
        return bool(
            await self._tx.value(
                """
                select confirmed_at is null and expires_at <= now() and coalesce(deleted_reason, 'expired') = 'expired'
                  from pairing
                 where token_hash = $1
                """,
                token_hash,
            )
        )

    async def list_of(self, account_id: str, *, pairing_id: str | None = None) -> list[Pairing]:
        """List an account's pairings (or one of them), without those that ended or can no longer be confirmed."""
        return await self._tx.all(
            Pairing,
            """
            select p.id, p.account_id, p.user_id, p.name, p.status, p.expires_at, p.agent_id, p.handle,
                   p.instance_info, p.telemetry_token_hash, p.version, p.created_at, p.confirmed_at,
                   case when online.is_online then now() else p.last_seen end as last_seen,
                   coalesce(online.is_online, false) as is_online
              from pairing as p
              left join lateral (select true as is_online
                                   from presence as seen
                                  where seen.account_id = p.account_id
                                    and seen.agent_id = p.agent_id
                                    and coalesce(seen.pairing_id, p.id) = p.id
                                    and seen.is_online
                                  limit 1) as online on true
             where p.account_id = $1
               and p.id = coalesce($2, p.id)
               and (p.status = 'active' or (p.status = 'pending' and p.expires_at > now()))
             order by p.created_at, p.id
            """,
            *(account_id, pairing_id),
        )

    async def get(self, pairing_id: str, *, account_id: str) -> Pairing:
        """Read one of an account's pairings.

        Raises:
            PairingNotFoundError: The account has none of this id.
        """
        found = await self.list_of(account_id, pairing_id=pairing_id)
        if not found:
            raise PairingNotFoundError
        return found[0]

    async def lock(self, pairing_id: str, *, account_id: str) -> Pairing:
        """Read one of an account's pairings and hold its row.

        Raises:
            PairingNotFoundError: The account has none of this id.
        """
        return await self._one(
            """
            select id, account_id, user_id, name, status, expires_at, agent_id, handle, instance_info,
                   telemetry_token_hash, version, created_at, confirmed_at, last_seen
              from pairing
             where id = $1
               and account_id = $2
               and (status = 'active' or (status = 'pending' and expires_at > now()))
               for update
            """,
            *(pairing_id, account_id),
        )

    async def lock_any(self, pairing_id: str) -> Pairing | None:
        """Read a pairing of whatever account and status, and hold its row."""
        return await self._tx.find(
            Pairing,
            """
            select id, account_id, user_id, name, status, expires_at, agent_id, handle, instance_info,
                   telemetry_token_hash, version, created_at, confirmed_at, last_seen
              from pairing
             where id = $1
               for update
            """,
            pairing_id,
        )

    async def renew(self, pairing_id: str, *, token_hash: bytes, ttl: timedelta) -> Pairing:
        """Give a pending pairing another token that lives for `ttl`."""
        return await self._one(
            """
            update pairing
               set token_hash = $2, expires_at = now() + $3
             where id = $1
            returning id, account_id, user_id, name, status, expires_at, agent_id, handle, instance_info,
                      telemetry_token_hash, version, created_at, confirmed_at, last_seen
            """,
            *(pairing_id, token_hash, ttl),
        )

    async def lock_all(self, account_id: str) -> list[Pairing]:
        """Read an account's pairings and hold their rows."""
        return await self._tx.all(
            Pairing,
            """
            select id, account_id, user_id, name, status, expires_at, agent_id, handle, instance_info,
                   telemetry_token_hash, version, created_at, confirmed_at, last_seen
              from pairing
             where account_id = $1
               and status <> 'deleted'
             order by id
               for update
            """,
            account_id,
        )

    async def lock_expired(self) -> list[Pairing]:
        """Read up to 500 pending pairings past their time and hold their rows."""
        return await self._tx.all(
            Pairing,
            """
            select id, account_id, user_id, name, status, expires_at, agent_id, handle, instance_info,
                   telemetry_token_hash, version, created_at, confirmed_at, last_seen
              from pairing
             where status = 'pending'
               and expires_at <= now()
             order by id
             limit 500
               for update skip locked
            """,
        )

    async def rename(self, pairing_id: str, name: str) -> Pairing:
        """Store another name."""
        return await self._one(
            """
            update pairing
               set name = $2, version = version + 1
             where id = $1
            returning id, account_id, user_id, name, status, expires_at, agent_id, handle, instance_info,
                      telemetry_token_hash, version, created_at, confirmed_at, last_seen
            """,
            *(pairing_id, name),
        )

    async def replace_token(self, pairing_id: str, telemetry_token_hash: bytes) -> Pairing:
        """Store another telemetry token."""
        return await self._one(
            """
            update pairing
               set telemetry_token_hash = $2, version = version + 1
             where id = $1
            returning id, account_id, user_id, name, status, expires_at, agent_id, handle, instance_info,
                      telemetry_token_hash, version, created_at, confirmed_at, last_seen
            """,
            *(pairing_id, telemetry_token_hash),
        )

    async def end(self, pairing_id: str, reason: EndReason) -> Pairing:
        """Make a pairing a tombstone."""
        return await self._one(
            """
            update pairing
               set status = 'deleted', deleted_at = now(), deleted_reason = $2, version = version + 1
             where id = $1
            returning id, account_id, user_id, name, status, expires_at, agent_id, handle, instance_info,
                      telemetry_token_hash, version, created_at, confirmed_at, last_seen
            """,
            *(pairing_id, reason),
        )

    async def find_by_telemetry_token(self, token_hash: bytes) -> Pairing | None:
        """Find the active pairing with this telemetry token."""
        return await self._tx.find(
            Pairing,
            """
            select id, account_id, user_id, name, status, expires_at, agent_id, handle, instance_info,
                   telemetry_token_hash, version, created_at, confirmed_at, last_seen
              from pairing
             where telemetry_token_hash = $1
               and status = 'active'
            """,
            token_hash,
        )

    async def export(self, after: str, limit: int) -> list[Pairing]:
        """List pairings that were confirmed once, in the order of ids."""
        return await self._tx.all(
            Pairing,
            """
            select id, account_id, user_id, name, status, expires_at, agent_id, handle, instance_info,
                   telemetry_token_hash, version, created_at, confirmed_at, last_seen
              from pairing
             where id > $1
               and confirmed_at is not null
             order by id
             limit $2
            """,
            *(after, limit),
        )

    async def record(self, pairing_id: str, action: str, *, actor: str, source: str) -> None:
        """Add to a pairing's history."""
        await self._tx.execute(
            "insert into pairing_history (pairing_id, action, actor, source) values ($1, $2, $3, $4)",
            *(pairing_id, action, actor, source),
        )

    async def history(self, pairing_id: str) -> list[HistoryEntry]:
        """List what was done to a pairing, oldest first."""
        return await self._tx.all(
            HistoryEntry,
            "select action, actor, source, at from pairing_history where pairing_id = $1 order by id",
            pairing_id,
        )

    async def _one(self, sql: str, *arguments: Any) -> Pairing:
        pairing = await self._tx.find(Pairing, sql, *arguments)
        if pairing is None:
            raise PairingNotFoundError
        return pairing
