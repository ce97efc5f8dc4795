"""Keys of agents."""

from uuid import UUID

from pairing.connections.domain.agents import AgentKey
from pairing.connections.errors import NoSuchKeyError
from shoal.database import Transaction


class AgentKeyRepository:
    """Rows of `agent_key`, one per key for ever."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(
        self, key_id: str, *, agent_uuid: UUID, account_id: str, name: str, prefix: str, secret_hash: bytes
    ) -> AgentKey:
        """Add a key."""
        key = await self._tx.find(
            AgentKey,
            """
            insert into agent_key (id, agent_uuid, account_id, name, prefix, secret_hash)
            values ($1, $2, $3, $4, $5, $6)
            returning id, agent_uuid, account_id, name, prefix, created_at, last_used_at, revoked_at
            """,
            *(key_id, agent_uuid, account_id, name, prefix, secret_hash),
        )
        if key is None:
            raise NoSuchKeyError
        return key

    async def list_of(self, agent_uuid: UUID) -> list[AgentKey]:
        """List an agent's keys that are good, oldest first."""
        return await self._tx.all(
            AgentKey,
            """
            select id, agent_uuid, account_id, name, prefix, created_at, last_used_at, revoked_at
              from agent_key
             where agent_uuid = $1
               and revoked_at is null
             order by created_at, id
            """,
            agent_uuid,
        )

    async def find_by_secret(self, secret_hash: bytes) -> AgentKey | None:
        """Find a key, good or revoked."""
        return await self._tx.find(
            AgentKey,
            """
            select id, agent_uuid, account_id, name, prefix, created_at, last_used_at, revoked_at
              from agent_key
             where secret_hash = $1
            """,
            secret_hash,
        )

    async def find_good(self, key_id: str) -> AgentKey | None:
        """Find a key that is good."""
        return await self._tx.find(
            AgentKey,
            """
            select id, agent_uuid, account_id, name, prefix, created_at, last_used_at, revoked_at
              from agent_key
             where id = $1
               and revoked_at is null
            """,
            key_id,
        )

    async def mark_used(self, key_id: str) -> None:
        """Note that a key was used; not more often than once a minute."""
        await self._tx.execute(
            """
            update agent_key
               set last_used_at = now()
             where id = $1
               and coalesce(last_used_at < now() - interval '1 minute', true)
            """,
            key_id,
        )

    async def revoke(self, key_id: str, *, agent_uuid: UUID) -> None:
        """Revoke one of an agent's keys.

        Raises:
            NoSuchKeyError: The agent has no good key of this id.
        """
        if not await self._tx.execute(
            "update agent_key set revoked_at = now() where id = $1 and agent_uuid = $2 and revoked_at is null",
            *(key_id, agent_uuid),
        ):
            raise NoSuchKeyError
