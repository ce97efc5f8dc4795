"""SQL of the copy of pairings."""

from collections.abc import Sequence

from shoal.database import Transaction
from telemetry_ingest.domain.pairings import Pairing


class PairingRepository:
    """Rows of `pairing`: a copy, taken by version."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def take_confirmed(
        self, pairing_id: str, *, account_id: str, user_id: str, agent_id: str, token_hash: bytes, version: int
    ) -> None:
        """Take a confirmed pairing if it is news."""
        await self._tx.execute(
            """
            insert into pairing as known (id, account_id, user_id, agent_id, token_hash, version)
            values ($1, $2, $3, $4, $5, $6)
                on conflict (id) do update
               set account_id = excluded.account_id, user_id = excluded.user_id, agent_id = excluded.agent_id,
                   token_hash = excluded.token_hash, version = excluded.version
             where known.version < excluded.version
               and known.ended_at is null
            """,
            *(pairing_id, account_id, user_id, agent_id, token_hash, version),
        )

    async def take_token(self, pairing_id: str, *, token_hash: bytes, version: int) -> int:
        """Take another telemetry token if it is news; returns how many rows there were to take it."""
        return await self._tx.execute(
            """
            update pairing
               set token_hash = case when version < $3 and ended_at is null then $2 else token_hash end,
                   version = greatest(version, $3)
             where id = $1
            """,
            *(pairing_id, token_hash, version),
        )

    async def take_ended(self, pairing_id: str, *, account_id: str, agent_id: str, version: int) -> None:
        """Make a pairing a tombstone, also one never heard of."""
        await self._tx.execute(
            """
            insert into pairing as known (id, account_id, user_id, agent_id, version, ended_at)
            values ($1, $2, '', $3, $4, now())
                on conflict (id) do update
               set ended_at = now(), version = greatest(known.version, excluded.version)
             where known.ended_at is null
            """,
            *(pairing_id, account_id, agent_id, version),
        )

    async def list_known(self) -> list[str]:
        """List the pairings that have not ended."""
        return await self._tx.all(str, "select id from pairing where ended_at is null")

    async def delete(self, pairing_id: str) -> None:
        """Forget a pairing altogether."""
        await self._tx.execute("delete from pairing where id = $1", pairing_id)

    async def find_by_token(self, token_hash: bytes) -> Pairing | None:
        """Find the pairing with this telemetry token, ended or not."""
        return await self._tx.find(
            Pairing,
            """
            select id, account_id, user_id, agent_id, token_hash, ended_at is not null as is_ended
              from pairing
             where token_hash = $1
             order by is_ended
             limit 1
            """,
            token_hash,
        )

    async def list_by_id(self, pairing_ids: Sequence[str]) -> list[Pairing]:
        """Read those of some pairings that are known."""
        return await self._tx.all(
            Pairing,
            """
            select id, account_id, user_id, agent_id, token_hash, ended_at is not null as is_ended
              from pairing
             where id = any($1::text[])
            """,
            list(pairing_ids),
        )

    async def list_of(self, account_id: str) -> list[Pairing]:
        """List an account's pairings that have not ended."""
        return await self._tx.all(
            Pairing,
            """
            select id, account_id, user_id, agent_id, token_hash, false as is_ended
              from pairing
             where account_id = $1
               and ended_at is null
            """,
            account_id,
        )

    async def forget_ended(self, days: int) -> int:
        """Delete tombstones that no late event can need any more."""
        return await self._tx.execute("delete from pairing where ended_at < now() - make_interval(days => $1)", days)
