"""Having agents."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import structs

from agent_runtime.agents.domain import Agent, AgentChange, AgentDraft, AgentStatus, first_agent
from agent_runtime.agents.repositories import AgentRepository
from agent_runtime.errors import FieldRefusedError
from agent_runtime.ports import (
    EVERY_TOOL,
    AgentProfile,
    Configuration,
    Frame,
    Frames,
    Sessions,
    Toolbox,
    ToolPolicy,
    Topic,
)
from shoal.copies import ExportedFact, exported
from shoal.database import Database, Transaction
from shoal.http.pagination import Page
from shoal.ids import new_id
from shoal.outbox import Outbox
from shoal_events import RuntimeAgentCreated, RuntimeAgentDeleted, RuntimeAgentUpdated

OFFLINE = "offline/rules"


class Agents:
    """Make, change, stop and remove an account's agents. It is the port `Agents`."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        frames: Frames,
        configuration: Configuration,
        sessions: Sessions,
        toolbox: Toolbox,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._outbox = outbox
        self._frames = frames
        self._configuration = configuration
        self._toolbox = toolbox

    async def get(self, account_id: str, agent_id: str) -> AgentProfile:
        """Find an agent as a turn needs it; the account's oldest for an empty id.

        Raises:
            AgentNotFoundError: There is none.
        """
        async with self._database.reading() as database:
            return await self.within(database, account_id, agent_id)

    async def within(self, tx: Transaction, account_id: str, agent_id: str) -> AgentProfile:
        """Find an agent as `get` does, inside a transaction.

        Raises:
            AgentNotFoundError: There is none.
        """
        repository = AgentRepository(tx)
        return _profile(await (repository.get(account_id, agent_id) if agent_id else repository.first(account_id)))

    async def hold(self, tx: Transaction, account_id: str, agent_id: str) -> None:
        """See that there is an agent, and that it stays until the commit.

        Raises:
            AgentNotFoundError: There is none.
        """
        await AgentRepository(tx).hold(account_id, agent_id)

    async def show(self, account_id: str, agent_id: str) -> tuple[Agent, int]:
        """Find an agent as people wrote it, and how many sessions it has.

        Raises:
            AgentNotFoundError: There is none.
        """
        async with self._database.reading() as database:
            agent = await AgentRepository(database).get(account_id, agent_id)
        return agent, await self._sessions.count(account_id, agent_id)

    async def list(self, account_id: str) -> Sequence[Agent]:
        """List an account's agents, oldest first."""
        async with self._database.reading() as database:
            return await AgentRepository(database).list(account_id)

    async def create(self, account_id: str, draft: AgentDraft) -> Agent:
        """Have one more agent, which answers at once; an id and a model that the draft leaves open are filled in.

        Raises:
            AgentTakenError: There is, or was, one of this id.
            FieldRefusedError: It has a policy for what no tool can be called.
        """
        self._check_tools(draft.tools)
        if not draft.model:
            defaults = await self._configuration.defaults(account_id)
            draft = structs.replace(draft, model=defaults.model)
        if not draft.id:
            draft = structs.replace(draft, id=new_id("agent"))
        async with self._database.transaction() as tx:
            agent = await self._create(tx, account_id, draft)
        await self._show_status(agent)
        return agent

    async def change(self, account_id: str, agent_id: str, change: AgentChange) -> tuple[Agent, int]:
        """Change an agent; turns under way end as they began. Returns it as `show` does.

        Raises:
            AgentNotFoundError: There is none.
            FieldRefusedError: It is to have a policy for what no tool can be called.
        """
        self._check_tools(change.tools or {})
        async with self._database.transaction() as tx:
            agent = await AgentRepository(tx).update(account_id, agent_id, change)
            await self._outbox.append(tx, _updated(agent))
        return agent, await self._sessions.count(account_id, agent_id)

    async def start(self, account_id: str, agent_id: str) -> None:
        """Let an agent answer.

        Raises:
            AgentNotFoundError: There is none.
        """
        await self._turn(account_id, agent_id, AgentStatus.RUNNING)

    async def stop(self, account_id: str, agent_id: str) -> None:
        """Let an agent answer no more; what it is saying it says to the end.

        Raises:
            AgentNotFoundError: There is none.
        """
        await self._turn(account_id, agent_id, AgentStatus.STOPPED)

    async def remove(self, account_id: str, agent_id: str) -> None:
        """Have an agent no more; what was said with it can still be read.

        Raises:
            AgentNotFoundError: There is none.
        """
        async with self._database.transaction() as tx:
            version = await AgentRepository(tx).delete(account_id, agent_id)
            await self._outbox.append(
                tx, RuntimeAgentDeleted(agent_id=agent_id, account_id=account_id, version=version)
            )
        await self._frames.publish(_status_frame(account_id, agent_id, AgentStatus.STOPPED))

    async def export(self, after: str, limit: int) -> Page[ExportedFact]:
        """Tell every agent as a fact, for copies elsewhere."""
        async with self._database.reading() as database:
            agents = await AgentRepository(database).export(after, limit)
        facts = [exported(_deleted(agent) if agent.deleted_at else _created(agent)) for agent in agents]
        last = agents[-1] if len(agents) == limit else None
        return Page(facts, next=f"{last.account_id}/{last.id}" if last else None)

    async def count(self) -> int:
        """Count the agents of all accounts."""
        async with self._database.reading() as database:
            return await AgentRepository(database).count()

    def _check_tools(self, policies: Mapping[str, str]) -> None:
        """Refuse policies that would protect nothing, for their tool's name is misspelt."""
        unknown = self._toolbox.unknown(name for name in policies if name != EVERY_TOOL)
        if unknown:
            raise FieldRefusedError("tools", f"there is no tool {unknown[0]!r}; GET /api/tools lists those there are")

    # accounts

    async def meet_account(self, tx: Transaction, account_id: str, version: int) -> None:
        """Give an account that is told of for the first time an agent that needs no provider."""
        if await AgentRepository(tx).meet(account_id, version):
            await self._create(tx, account_id, first_agent(OFFLINE))

    async def erase(self, tx: Transaction, account_id: str, version: int) -> None:
        """Erase the agents of an account that is no more; a tombstone keeps late news from bringing it back."""
        repository = AgentRepository(tx)
        for agent in await repository.list(account_id):
            await self._outbox.append(tx, _deleted(agent))
        await repository.part(account_id, version)
        await repository.erase(account_id)

    async def _create(self, tx: Transaction, account_id: str, draft: AgentDraft) -> Agent:
        agent = await AgentRepository(tx).insert(account_id, draft)
        await self._outbox.append(tx, _created(agent))
        return agent

    async def _turn(self, account_id: str, agent_id: str, status: AgentStatus) -> None:
        async with self._database.transaction() as tx:
            repository = AgentRepository(tx)
            is_new = await repository.set_status(account_id, agent_id, status)
            agent = await repository.get(account_id, agent_id)
            if is_new:
                await self._outbox.append(tx, _updated(agent))
        await self._show_status(agent)

    async def _show_status(self, agent: Agent) -> None:
        await self._frames.publish(_status_frame(agent.account_id, agent.id, agent.status))


class Births:
    """Tells since when agents are, also deleted ones. It is the port `Births`."""

    async def born(self, tx: Transaction, account_id: str, agent_id: str) -> datetime | None:
        """Tell since when there is an agent, or was; None if there never was one."""
        return await AgentRepository(tx).born(account_id, agent_id)


class Departures:
    """Tells which agents and accounts are no more, by their tombstones. It is the port `Departures`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def agents(self, account_id: str, agent_ids: Sequence[str]) -> Sequence[str]:
        """Tell which of an account's agents were deleted."""
        async with self._database.reading() as database:
            return await AgentRepository(database).departed_agents(account_id, agent_ids)

    async def accounts(self, account_ids: Sequence[str]) -> Sequence[str]:
        """Tell which accounts are no more."""
        async with self._database.reading() as database:
            return await AgentRepository(database).departed_accounts(account_ids)


def _profile(agent: Agent) -> AgentProfile:
    return AgentProfile(
        id=agent.id,
        account_id=agent.account_id,
        name=agent.name,
        is_running=agent.status is AgentStatus.RUNNING,
        model=agent.model,
        instructions=agent.instructions,
        skills=agent.skills,
        tools={name: ToolPolicy(policy) for name, policy in agent.tools.items()},
        config=agent.config,
    )


def _status_frame(account_id: str, agent_id: str, status: AgentStatus) -> Frame:
    payload = {"agentId": agent_id, "status": str(status)}
    return Frame(account_id=account_id, topic=Topic.AGENT_STATUS, type=Topic.AGENT_STATUS, data=payload)


def _created(agent: Agent) -> RuntimeAgentCreated:
    return RuntimeAgentCreated(
        agent_id=agent.id,
        account_id=agent.account_id,
        name=agent.name,
        status=agent.status,
        model=agent.model,
        version=agent.version,
    )


def _updated(agent: Agent) -> RuntimeAgentUpdated:
    return RuntimeAgentUpdated(
        agent_id=agent.id,
        account_id=agent.account_id,
        name=agent.name,
        status=agent.status,
        model=agent.model,
        version=agent.version,
    )


def _deleted(agent: Agent) -> RuntimeAgentDeleted:
    return RuntimeAgentDeleted(agent_id=agent.id, account_id=agent.account_id, version=agent.version)
