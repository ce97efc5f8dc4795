"""Rows of `agent` and `account`."""

from collections.abc import Sequence
from datetime import datetime

from agent_runtime.agents.domain import Agent, AgentChange, AgentDraft, AgentStatus
from agent_runtime.agents.errors import AgentTakenError
from agent_runtime.errors import AgentNotFoundError
from shoal.database import Transaction, violation_as


class AgentRepository:
    """Agents, and the accounts that have them."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def get(self, account_id: str, agent_id: str) -> Agent:
        """Read an agent.

        Raises:
            AgentNotFoundError: The account has none of this id.
        """
        found = await self._tx.find(
            Agent,
            """
            select id, account_id, name, description, status, model, instructions, skills, tools, config, version,
                   created_at, updated_at, deleted_at
              from agent
             where account_id = $1 and id = $2 and deleted_at is null
            """,
            *(account_id, agent_id),
        )
        if found is None:
            raise AgentNotFoundError
        return found

    async def hold(self, account_id: str, agent_id: str) -> None:
        """Hold an agent's row, beside others who do, until the commit.

        Raises:
            AgentNotFoundError: The account has none of this id.
        """
        if not await self._tx.value(
            "select true from agent where account_id = $1 and id = $2 and deleted_at is null for share",
            *(account_id, agent_id),
        ):
            raise AgentNotFoundError

    async def born(self, account_id: str, agent_id: str) -> datetime | None:
        """Read when an agent was made, be it deleted since; None if there never was one."""
        found: datetime | None = await self._tx.value(
            "select created_at from agent where account_id = $1 and id = $2", *(account_id, agent_id)
        )
        return found

    async def departed_agents(self, account_id: str, agent_ids: Sequence[str]) -> Sequence[str]:
        """Pick those of an account's agents that have a tombstone."""
        return await self._tx.all(
            str,
            "select id from agent where account_id = $1 and id = any($2::text[]) and deleted_at is not null",
            *(account_id, list(agent_ids)),
        )

    async def first(self, account_id: str) -> Agent:
        """Read the account's oldest agent.

        Raises:
            AgentNotFoundError: The account has none.
        """
        found = await self._tx.find(
            Agent,
            """
            select id, account_id, name, description, status, model, instructions, skills, tools, config, version,
                   created_at, updated_at, deleted_at
              from agent
             where account_id = $1 and deleted_at is null
             order by created_at, id
             limit 1
            """,
            account_id,
        )
        if found is None:
            raise AgentNotFoundError
        return found

    async def list(self, account_id: str) -> Sequence[Agent]:
        """Read the account's agents, oldest first."""
        return await self._tx.all(
            Agent,
            """
            select id, account_id, name, description, status, model, instructions, skills, tools, config, version,
                   created_at, updated_at, deleted_at
              from agent
             where account_id = $1 and deleted_at is null
             order by created_at, id
            """,
            account_id,
        )

    async def insert(self, account_id: str, draft: AgentDraft) -> Agent:
        """Write a new agent, which answers from now on.

        Raises:
            AgentTakenError: The account has, or had, one of this id.
        """
        with violation_as(agent_pkey=AgentTakenError):
            await self._tx.execute(
                """
                insert into agent (account_id, id, name, description, status, model, instructions, skills, tools,
                                   config)
                values ($1, $2, $3, $4, 'running', $5, $6, $7, $8, $9)
                """,
                *(account_id, draft.id, draft.name, draft.description, draft.model, draft.instructions),
                *(list(draft.skills), draft.tools, draft.config),
            )
        return await self.get(account_id, draft.id)

    async def update(self, account_id: str, agent_id: str, change: AgentChange) -> Agent:
        """Write what is to change.

        Raises:
            AgentNotFoundError: The account has none of this id.
        """
        changed = await self._tx.execute(
            """
            update agent
               set name = coalesce($3, name), description = coalesce($4, description), model = coalesce($5, model),
                   instructions = coalesce($6, instructions), skills = coalesce($7, skills),
                   tools = coalesce($8, tools), config = coalesce($9, config),
                   version = version + 1, updated_at = now()
             where account_id = $1 and id = $2 and deleted_at is null
            """,
            *(account_id, agent_id, change.name, change.description, change.model, change.instructions),
            *(None if change.skills is None else list(change.skills), change.tools, change.config),
        )
        if not changed:
            raise AgentNotFoundError
        return await self.get(account_id, agent_id)

    async def set_status(self, account_id: str, agent_id: str, status: AgentStatus) -> bool:
        """Write whether an agent answers; False when it was so already."""
        return bool(
            await self._tx.execute(
                """
                update agent
                   set status = $3, version = version + 1, updated_at = now()
                 where account_id = $1 and id = $2 and deleted_at is null and status <> $3
                """,
                *(account_id, agent_id, status),
            )
        )

    async def delete(self, account_id: str, agent_id: str) -> int:
        """Leave a tombstone in an agent's place; returns its last version.

        Raises:
            AgentNotFoundError: The account has none of this id.
        """
        version: int | None = await self._tx.value(
            """
            update agent
               set deleted_at = now(), status = 'stopped', version = version + 1, updated_at = now()
             where account_id = $1 and id = $2 and deleted_at is null
            returning version
            """,
            *(account_id, agent_id),
        )
        if version is None:
            raise AgentNotFoundError
        return version

    async def export(self, after: str, limit: int) -> Sequence[Agent]:
        """Read agents of all accounts, tombstones too, in the order of account and id."""
        return await self._tx.all(
            Agent,
            """
            select id, account_id, name, description, status, model, instructions, skills, tools, config, version,
                   created_at, updated_at, deleted_at
              from agent
             where account_id || '/' || id > $1
             order by account_id || '/' || id
             limit $2
            """,
            *(after, limit),
        )

    async def count(self) -> int:
        """Count the agents of all accounts."""
        found: int = await self._tx.value("select count(*) from agent where deleted_at is null")
        return found

    # accounts

    async def meet(self, account_id: str, version: int) -> bool:
        """Note an account; False when it was told of before."""
        return bool(
            await self._tx.execute(
                "insert into account (id, version) values ($1, $2) on conflict do nothing", account_id, version
            )
        )

    async def part(self, account_id: str, version: int) -> None:
        """Leave a tombstone in an account's place, known before or not."""
        await self._tx.execute(
            """
            insert into account (id, version, is_deleted) values ($1, $2, true)
                on conflict (id) do update set is_deleted = true, version = excluded.version
            """,
            *(account_id, version),
        )

    async def erase(self, account_id: str) -> None:
        """Delete an account's agents, tombstones too."""
        await self._tx.execute("delete from agent where account_id = $1", account_id)

    async def departed_accounts(self, account_ids: Sequence[str]) -> Sequence[str]:
        """Pick those of these accounts that have a tombstone."""
        return await self._tx.all(
            str, "select id from account where id = any($1::text[]) and is_deleted", list(account_ids)
        )
