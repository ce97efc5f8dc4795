"""HTTP: agents."""

from typing import Annotated

from litestar import Controller, delete, get, patch, post
from litestar.params import Parameter

from agent_runtime.agents.schemas import AgentDetail, AgentDone, AgentSummary, ChangeAgent, CreateAgent
from agent_runtime.agents.usecases import Agents
from shoal.copies import ExportedFact
from shoal.http.auth import require_admin, require_permitted_service, require_user
from shoal.http.pagination import Page
from shoal.identity import Principal


class AgentController(Controller):
    """The contract's calls, and making, changing and removing agents."""

    path = "/api/agents"
    tags = ("agents",)
    guards = (require_user,)

    @get("/", operation_id="listAgents", summary="List agents")
    async def list(self, principal: Principal, known: Agents) -> list[AgentSummary]:
        """List the account's agents, oldest first."""
        return [AgentSummary.from_domain(agent) for agent in await known.list(principal.account_id)]

    @post("/", operation_id="createAgent", summary="Create an agent", guards=[require_admin])
    async def create(self, data: CreateAgent, principal: Principal, known: Agents) -> AgentDetail:
        """Have one more agent, which answers at once."""
        agent = await known.create(principal.account_id, data.to_draft())
        return AgentDetail.from_counted(agent, 0)

    @get("/{agent_id:str}", operation_id="getAgent", summary="Show an agent")
    async def show(self, agent_id: str, principal: Principal, known: Agents) -> AgentDetail:
        """Show an agent and how many sessions it has."""
        return AgentDetail.from_counted(*await known.show(principal.account_id, agent_id))

    @patch("/{agent_id:str}", operation_id="changeAgent", summary="Change an agent", guards=[require_admin])
    async def change(self, agent_id: str, data: ChangeAgent, principal: Principal, known: Agents) -> AgentDetail:
        """Change an agent; what is absent stays."""
        return AgentDetail.from_counted(*await known.change(principal.account_id, agent_id, data.to_change()))

    @delete(
        "/{agent_id:str}",
        operation_id="deleteAgent",
        summary="Delete an agent",
        guards=[require_admin],
        status_code=200,
    )
    async def remove(self, agent_id: str, principal: Principal, known: Agents) -> AgentDone:
        """Have an agent no more; its sessions can still be read."""
        await known.remove(principal.account_id, agent_id)
        return AgentDone()

    @post("/{agent_id:str}/start", operation_id="startAgent", summary="Let an agent answer", status_code=200)
    async def start(self, agent_id: str, principal: Principal, known: Agents) -> AgentDone:
        """Let an agent answer; nothing happens to one that does."""
        await known.start(principal.account_id, agent_id)
        return AgentDone()

    @post("/{agent_id:str}/stop", operation_id="stopAgent", summary="Let an agent answer no more", status_code=200)
    async def stop(self, agent_id: str, principal: Principal, known: Agents) -> AgentDone:
        """Let an agent answer no more; what it is saying it says to the end."""
        await known.stop(principal.account_id, agent_id)
        return AgentDone()


class ExportController(Controller):
    """What copies elsewhere read."""

    path = "/internal"
    guards = (require_permitted_service,)
    include_in_schema = False

    @get("/export", operation_id="exportAgents")
    async def export(
        self, known: Agents, after: str = "", limit: Annotated[int, Parameter(ge=1, le=1000)] = 500
    ) -> Page[ExportedFact]:
        """Tell every agent as a fact."""
        return await known.export(after, limit)
