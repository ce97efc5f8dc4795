"""SQL of API keys, and nothing else."""

from msgspec import Struct

from gateway.keys.domain import ApiKey, Kind
from gateway.keys.errors import KeyNotFoundError
from shoal.database import Transaction
from shoal.identity import Role


class KeyOwner(Struct, frozen=True):
    """Whose a key is."""

    key_id: str
    user_id: str
    account_id: str
    username: str
    role: Role
    is_stale: bool
    """Whether the last noted use is more than a minute ago."""


class KeyRepository:
    """Rows of `api_key`; revoked ones stay."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(
        self, key_id: str, *, user_id: str, account_id: str, kind: Kind, name: str, secret_hash: bytes, hint: str
    ) -> ApiKey:
        """Add a key."""
        inserted = await self._tx.find(
            ApiKey,
            """
            insert into api_key (id, person_id, account_id, kind, name, secret_hash, hint)
            values ($1, $2, $3, $4, $5, $6, $7)
            returning id, person_id as user_id, account_id, kind, name, hint, created_at, last_used_at
            """,
            *(key_id, user_id, account_id, kind, name, secret_hash, hint),
        )
        if inserted is None:
            raise KeyNotFoundError
        return inserted

    async def find_owner(self, secret_hash: bytes) -> KeyOwner | None:
        """Find whose secret this is, if its key is still good."""
        return await self._tx.find(
            KeyOwner,
            """
            select k.id as key_id, p.id as user_id, p.account_id, p.username, p.role,
                   coalesce(k.last_used_at < now() - interval '1 minute', true) as is_stale
              from api_key as k
              join person as p on p.id = k.person_id
             where k.secret_hash = $1
               and k.revoked_at is null
               and p.deleted_at is null
            """,
            secret_hash,
        )

    async def touch(self, key_id: str) -> None:
        """Note that a key is used."""
        await self._tx.execute("update api_key set last_used_at = now() where id = $1", key_id)

    async def count(self, account_id: str) -> int:
        """Count an account's keys."""
        return int(
            await self._tx.value(
                "select count(*) from api_key where account_id = $1 and revoked_at is null", account_id
            )
        )

    async def list_of(self, account_id: str, *, user_id: str | None, kinds: list[Kind]) -> list[ApiKey]:
        """List an account's keys, of one user if one is named, oldest first."""
        return await self._tx.all(
            ApiKey,
            """
            select id, person_id as user_id, account_id, kind, name, hint, created_at, last_used_at
              from api_key
             where account_id = $1
               and person_id = coalesce($2, person_id)
               and kind = any($3::text[])
               and revoked_at is null
             order by created_at, id
            """,
            *(account_id, user_id, kinds),
        )

    async def list_good(self, key_ids: list[str]) -> list[str]:
        """Choose the keys that are good."""
        rows = await self._tx.connection.fetch(
            "select id from api_key where id = any($1::text[]) and revoked_at is null", key_ids
        )
        return [row["id"] for row in rows]

    async def is_good(self, account_id: str, key_id: str) -> bool:
        """Tell whether an account has a key of this id that is good."""
        return bool(
            await self._tx.value(
                "select true from api_key where account_id = $1 and id = $2 and revoked_at is null", account_id, key_id
            )
        )

    async def revoke(self, key_id: str, *, account_id: str, user_id: str | None) -> ApiKey | None:
        """Revoke an account's key, of one user if one is named; None when there was none to revoke."""
        return await self._tx.find(
            ApiKey,
            """
            update api_key
               set revoked_at = now()
             where id = $1
               and account_id = $2
               and person_id = coalesce($3, person_id)
               and revoked_at is null
            returning id, person_id as user_id, account_id, kind, name, hint, created_at, last_used_at
            """,
            *(key_id, account_id, user_id),
        )

    async def revoke_all(self, user_id: str) -> list[ApiKey]:
        """Revoke a user's keys."""
        return await self._tx.all(
            ApiKey,
            """
            update api_key
               set revoked_at = now()
             where person_id = $1
               and revoked_at is null
            returning id, person_id as user_id, account_id, kind, name, hint, created_at, last_used_at
            """,
            user_id,
        )
