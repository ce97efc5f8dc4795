"""Agents."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from msgspec import Struct

from pairing.connections.domain.agents import Agent, NewAgent, PublicKeys, as_uuid
from pairing.connections.errors import AgentExistsError, NoSuchAgentError
from shoal.database import Transaction, violation_as


class AgentRepository:
    """Rows of `agent`, one per registration for ever."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(self, new: NewAgent, *, account_id: str) -> Agent:
        """Add an agent, connected if it brings a key.

        Raises:
            AgentExistsError: The account has an agent of this name.
        """
        agent_uuid, keys = uuid4(), new.keys
        with violation_as(agent_account_id_agent_id_key=AgentExistsError):
            await self._tx.execute(
                """
                insert into agent (id, account_id, agent_id, name, description, webhook_url, agent_type, metadata,
                                   is_available, status, key_version, public_key, public_key_algorithm,
                                   signing_public_key, signing_key_algorithm)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
                """,
                *(agent_uuid, account_id, new.agent_id, new.name, new.description, new.webhook_url, new.agent_type),
                *(new.metadata, new.is_available, "connected" if keys else "pending", 1 if keys else 0),
                *(_key_columns(keys) if keys else (None,) * 4),
            )
        return await self.get(str(agent_uuid), account_id=account_id)

    async def list_of(self, account_id: str) -> list[Agent]:
        """List an account's agents, oldest first."""
        return await self._tx.all(
            Agent,
            """
            select id, account_id, agent_id, name, description, webhook_url, agent_type, metadata, is_available,
                   status, public_key, public_key_algorithm, key_version, signing_public_key, signing_key_algorithm,
                   version, created_at, last_seen_at, deleted_at
              from agent
             where account_id = $1
               and deleted_at is null
             order by created_at, id
            """,
            account_id,
        )

    async def by_ids(self, agent_uuids: Sequence[UUID]) -> dict[UUID, Agent]:
        """Read agents, deleted ones included."""
        agents = await self._tx.all(
            Agent,
            """
            select id, account_id, agent_id, name, description, webhook_url, agent_type, metadata, is_available,
                   status, public_key, public_key_algorithm, key_version, signing_public_key, signing_key_algorithm,
                   version, created_at, last_seen_at, deleted_at
              from agent
             where id = any($1::uuid[])
            """,
            list(agent_uuids),
        )
        return {agent.id: agent for agent in agents}

    async def get(self, name: str, *, account_id: str) -> Agent:
        """Read one of an account's agents by its UUID or by its agent_id.

        Raises:
            NoSuchAgentError: The account has none of this name.
        """
        agent_uuid = await self._tx.value(
            """
            select id
              from agent
             where account_id = $1
               and deleted_at is null
               and (id = $2 or agent_id = $3)
            """,
            *(account_id, as_uuid(name), name),
        )
        if agent_uuid is None:
            raise NoSuchAgentError
        return (await self.by_ids([agent_uuid]))[agent_uuid]

    async def lock(self, name: str, *, account_id: str) -> Agent:
        """Read one of an account's agents by its UUID or by its agent_id, and hold its row.

        Raises:
            NoSuchAgentError: The account has none of this name.
        """
        await self._tx.execute(
            """
            select id
              from agent
             where account_id = $1
               and deleted_at is null
               and (id = $2 or agent_id = $3)
               for update
            """,
            *(account_id, as_uuid(name), name),
        )
        return await self.get(name, account_id=account_id)

    async def lock_shared(self, agent_uuids: Sequence[UUID]) -> dict[UUID, Agent]:
        """Read agents and keep them from being deleted or disconnected until the transaction ends."""
        await self._tx.execute(
            "select id from agent where id = any($1::uuid[]) order by id for share", list(agent_uuids)
        )
        return await self.by_ids(agent_uuids)

    async def count(self, account_id: str) -> int:
        """Count an account's agents."""
        count: int = await self._tx.value(
            "select count(*) from agent where account_id = $1 and deleted_at is null", account_id
        )
        return count

    async def update(self, agent: Agent) -> Agent:
        """Store what an account says of an agent."""
        await self._tx.execute(
            """
            update agent
               set name = $2, description = $3, webhook_url = $4, agent_type = $5, metadata = $6, is_available = $7,
                   version = version + 1
             where id = $1
            """,
            *(agent.id, agent.name, agent.description, agent.webhook_url, agent.agent_type),
            *(agent.metadata, agent.is_available),
        )
        return (await self.by_ids([agent.id]))[agent.id]

    async def set_token(self, agent_uuid: UUID, *, token_id: str, token_hash: bytes, ttl: timedelta) -> datetime:
        """Store a connect token in place of any other; returns until when it is good, by the database's clock."""
        expires_at: datetime = await self._tx.value(
            """
            update agent
               set connect_token_id = $2, connect_token_hash = $3, connect_token_expires_at = now() + $4
             where id = $1
            returning connect_token_expires_at
            """,
            *(agent_uuid, token_id, token_hash, ttl),
        )
        return expires_at

    async def find_token(self, token_hash: bytes) -> "TokenRow | None":
        """Find the agent that a good connect token is for."""
        return await self._tx.find(
            TokenRow,
            """
            select id, connect_token_id
              from agent
             where connect_token_hash = $1
               and connect_token_expires_at > now()
               and deleted_at is null
            """,
            token_hash,
        )

    async def connect(self, agent_uuid: UUID, *, token_id: str, keys: PublicKeys) -> Agent | None:
        """Store an agent's keys and use its connect token up: one statement, so that one use wins."""
        is_connected = await self._tx.execute(
            """
            update agent
               set status = 'connected', key_version = key_version + 1, public_key = $3, public_key_algorithm = $4,
                   signing_public_key = $5, signing_key_algorithm = $6, connect_token_id = null,
                   connect_token_hash = null, connect_token_expires_at = null, last_seen_at = now(),
                   version = version + 1
             where id = $1
               and connect_token_id = $2
               and connect_token_expires_at > now()
               and deleted_at is null
            """,
            *(agent_uuid, token_id, *_key_columns(keys)),
        )
        return (await self.by_ids([agent_uuid]))[agent_uuid] if is_connected else None

    async def disconnect(self, agent_uuid: UUID) -> Agent:
        """Wipe an agent's keys and connect token."""
        await self._tx.execute(
            """
            update agent
               set status = 'disconnected', public_key = null, public_key_algorithm = null, signing_public_key = null,
                   signing_key_algorithm = null, connect_token_id = null, connect_token_hash = null,
                   connect_token_expires_at = null, version = version + 1
             where id = $1
            """,
            agent_uuid,
        )
        return (await self.by_ids([agent_uuid]))[agent_uuid]

    async def delete(self, agent_uuid: UUID) -> Agent:
        """Make an agent a tombstone and revoke its keys."""
        await self._tx.execute(
            "update agent_key set revoked_at = now() where agent_uuid = $1 and revoked_at is null", agent_uuid
        )
        await self._tx.execute("update agent set deleted_at = now() where id = $1", agent_uuid)
        return await self.disconnect(agent_uuid)

    async def mark_seen(self, agent_uuid: UUID) -> Agent:
        """Note that an agent was heard of now."""
        await self._tx.execute("update agent set last_seen_at = now() where id = $1", agent_uuid)
        return (await self.by_ids([agent_uuid]))[agent_uuid]

    async def list_available(self, account_id: str) -> list[Agent]:
        """List the agents of an account with which others may propose a pairing."""
        return [agent for agent in await self.list_of(account_id) if agent.is_available]

    async def list_reachable(self, agent_id: str, *, account_id: str, own: UUID | None) -> list[Agent]:
        """List the agents of a name that an account owns or is actively paired with.

        Args:
            agent_id: The name.
            account_id: The account.
            own: Count only pairings of this agent of the account's.
        """
        found = await self._tx.all(
            _Named,
            """
            select id
              from agent
             where account_id = $2
               and agent_id = $1
               and deleted_at is null
             union
            select theirs.id
              from agent_pairing as p
              join agent as theirs on theirs.id = case when p.proposer_account_id = $2 then p.target_agent_id
                                                       else p.proposer_agent_id end
             where p.status = 'active'
               and (p.proposer_account_id = $2 or p.target_account_id = $2)
               and ($3::uuid is null or p.proposer_agent_id = $3 or p.target_agent_id = $3)
               and theirs.agent_id = $1
               and theirs.deleted_at is null
             order by id
            """,
            *(agent_id, account_id, own),
        )
        return list((await self.by_ids([row.id for row in found])).values())


class _Named(Struct, frozen=True):
    id: UUID


class TokenRow(Struct, frozen=True):
    """A good connect token: its id, and the agent that it is for."""

    id: UUID
    connect_token_id: str


def _key_columns(keys: PublicKeys) -> tuple[str | None, ...]:
    return keys.public_key, keys.public_key_algorithm, keys.signing_public_key, keys.signing_key_algorithm
