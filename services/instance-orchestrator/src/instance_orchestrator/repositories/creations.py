"""SQL of creations that named themselves."""

from datetime import timedelta

from msgspec import Struct

from shoal.database import Transaction


class Creation(Struct, frozen=True):
    """What was asked for under a key, and the instance that was made of it."""

    digest: bytes
    instance_id: int


class CreationRepository:
    """Rows of `creation`."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def lock(self, key: str, *, account_id: str) -> Creation | None:
        """Read what was made under a key; nobody else makes anything under it until the transaction ends."""
        await self._tx.execute("select pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 0))", account_id, key)
        return await self._tx.find(
            Creation,
            "select digest, instance_id from creation where account_id = $1 and key = $2",
            account_id,
            key,
        )

    async def insert(self, key: str, creation: Creation, *, account_id: str) -> None:
        """Write what was made under a key."""
        await self._tx.execute(
            "insert into creation (account_id, key, digest, instance_id) values ($1, $2, $3, $4)",
            *(account_id, key, creation.digest, creation.instance_id),
        )

    async def forget(self, age: timedelta) -> None:
        """Delete what was made longer ago."""
        await self._tx.execute("delete from creation where created_at < now() - $1::interval", age)
