"""Agents and their keys."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, delete, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter

from pairing.connections.controllers.access import WHO, Who
from pairing.connections.errors import InboxNotOfferedError
from pairing.connections.schemas.agents import (
    AgentConnectedView,
    AgentDeletedView,
    AgentDisconnectedView,
    AgentRegisteredView,
    AgentsView,
    AgentView,
    AmbiguousBody,
    ChangeAgent,
    ConnectAgent,
    ConnectTokenView,
    DirectionsView,
    RegisterAgent,
    ResolvedAgentView,
)
from pairing.connections.schemas.keys import CreateKey, KeyCreatedView, KeyRevokedView, KeysView, KeyView
from pairing.connections.schemas.profiles import ProfileView
from pairing.connections.usecases.agents import Agents
from pairing.connections.usecases.keys import AgentKeys
from pairing.connections.usecases.pairings import AgentPairings
from pairing.connections.usecases.profiles import Profiles
from shoal.http.bodies import ErrorBody
from shoal.http.description import REFUSED_AS
from shoal.identity import Principal

NO_INBOX = ResponseSpec(ErrorBody, description="There is none", generate_examples=False)


class AgentController(Controller):
    """Agents of the caller's account, named by UUID or agent_id."""

    path = "/agents"
    tags = ("agents",)

    @post("/register", operation_id="registerAgent", summary="Register an agent")
    async def register(self, data: RegisterAgent, agents: Agents, principal: Principal) -> AgentRegisteredView:
        """Register an agent; without a public key it gets a token by which it connects within an hour."""
        registered = await agents.register(data.to_domain(), by=principal)
        return AgentRegisteredView.from_registered(registered)

    @post(
        "/connect",
        operation_id="connectAgent",
        summary="Hand in an agent's public key",
        status_code=200,
        opt={WHO: Who.CONNECT_TOKEN},
    )
    async def connect(self, data: ConnectAgent, agents: Agents, principal: Principal) -> AgentConnectedView:
        """Use a connect token up."""
        agent = await agents.connect(data.to_domain(), by=principal)
        return AgentConnectedView(agent.agent_id, str(agent.id), agent.status, agent.key_version)

    @get("/{agent_id:str}/inbox", operation_id="readInbox", summary="No inbox", status_code=404,
         responses={404: NO_INBOX}, opt={WHO: Who.AGENT})  # fmt: skip
    async def read_inbox(self, agent_id: str) -> None:  # noqa: ARG002 - the path's
        """Say that no files are carried here."""
        raise InboxNotOfferedError

    @post("/{agent_id:str}/inbox", operation_id="sendToInbox", summary="No inbox", status_code=404,
          responses={404: NO_INBOX}, opt={WHO: Who.AGENT})  # fmt: skip
    async def send_to_inbox(self, agent_id: str) -> None:  # noqa: ARG002 - the path's
        """Say that no files are carried here."""
        raise InboxNotOfferedError

    @get("/", operation_id="listAgents", summary="List the account's agents", opt={WHO: Who.AGENT})
    async def list(self, agents: Agents, principal: Principal) -> AgentsView:
        """List agents, oldest first."""
        return AgentsView.from_domain(await agents.list_for(principal.account_id))

    @get("/me", operation_id="getProfile", summary="Tell an agent who it is", opt={WHO: Who.AGENT})
    async def me(
        self,
        profiles: Profiles,
        principal: Principal,
        named: Annotated[str | None, Parameter(header="X-AgentDrop-Agent", max_length=64)] = None,
    ) -> ProfileView:
        """Tell identity, connections and plan limits; a user says which agent is meant."""
        return ProfileView.from_domain(await profiles.of(principal, named=named))

    @get("/resolve", operation_id="resolveAgent", summary="Find an agent to send to",
         opt={WHO: Who.AGENT, REFUSED_AS: AmbiguousBody})  # fmt: skip
    async def resolve(
        self,
        agents: Agents,
        principal: Principal,
        agent_id: Annotated[str, Parameter(min_length=1, max_length=64)],
        account: Annotated[str | None, Parameter(max_length=256)] = None,
    ) -> ResolvedAgentView:
        """Find an agent by name among the account's own and those that it is actively paired with."""
        return ResolvedAgentView.from_domain(await agents.resolve(agent_id, account, by=principal))

    @get("/{name:str}", operation_id="getAgent", summary="Show an agent", opt={WHO: Who.AGENT})
    async def show(self, name: str, agents: Agents, principal: Principal) -> AgentView:
        """Show one of the account's agents; an agent is shown itself only."""
        return AgentView.from_domain(await agents.get(name, by=principal))

    @patch("/{name:str}", operation_id="changeAgent", summary="Change an agent")
    async def change(self, name: str, data: ChangeAgent, agents: Agents, principal: Principal) -> AgentView:
        """Describe an agent otherwise, or offer it to connected accounts."""
        return AgentView.from_domain(await agents.change(name, data.changes(), by=principal))

    @delete("/{name:str}", operation_id="deleteAgent", summary="Delete an agent", status_code=200)
    async def remove(self, name: str, agents: Agents, principal: Principal) -> AgentDeletedView:
        """Delete an agent with its keys and pairings."""
        agent, ended = await agents.remove(name, by=principal)
        return AgentDeletedView(str(agent.id), agent.agent_id, deleted=True, pairings_revoked=ended)

    @post(
        "/{name:str}/disconnect",
        operation_id="disconnectAgent",
        summary="Wipe an agent's public keys",
        status_code=200,
        opt={WHO: Who.AGENT},
    )
    async def disconnect(self, name: str, agents: Agents, principal: Principal) -> AgentDisconnectedView:
        """Wipe keys; pairings stay, and nothing passes until the agent connects again."""
        agent = await agents.disconnect(name, by=principal)
        return AgentDisconnectedView(agent.agent_id, str(agent.id), agent.status, "Agent disconnected.")

    @post(
        "/{name:str}/token",
        operation_id="reissueConnectToken",
        summary="Make a new token to connect by",
        status_code=200,
    )
    async def reissue(self, name: str, agents: Agents, principal: Principal) -> ConnectTokenView:
        """Make a token for an agent that has yet to connect, or is to hand in another key; the one before is dead."""
        agent, token = await agents.reissue_token(name, by=principal)
        return ConnectTokenView(agent.agent_id, str(agent.id), token.token, token.expires_at)

    @get(
        "/{name:str}/can-send",
        operation_id="canSend",
        summary="Tell what may pass between two agents",
        opt={WHO: Who.AGENT},
    )
    async def can_send(
        self, name: str, to: UUID, agents: Agents, agent_pairings: AgentPairings, principal: Principal
    ) -> DirectionsView:
        """Tell the directions that both sides' consent allows right now; an agent asks for itself only."""
        mine = await agents.get(name, by=principal)
        return DirectionsView.from_domain(await agent_pairings.directions(mine, to))


class AgentKeyController(Controller):
    """Keys by which agents speak for themselves; only their account makes and ends them."""

    path = "/agents/{name:str}/keys"
    tags = ("agent keys",)

    @post("/", operation_id="createAgentKey", summary="Make a key for an agent")
    async def create(
        self, name: str, agent_keys: AgentKeys, principal: Principal, data: CreateKey | None = None
    ) -> KeyCreatedView:
        """Make a key; its secret is shown this once."""
        agent, issued = await agent_keys.create(name, (data or CreateKey()).name.strip(), by=principal)
        return KeyCreatedView.from_issued(agent, issued)

    @get("/", operation_id="listAgentKeys", summary="List an agent's keys")
    async def list(self, name: str, agent_keys: AgentKeys, principal: Principal) -> KeysView:
        """List the keys that are good, oldest first."""
        agent, keys = await agent_keys.list_for(name, by=principal)
        return KeysView([KeyView.from_domain(agent, key) for key in keys])

    @delete("/{key_id:str}", operation_id="revokeAgentKey", summary="Revoke an agent's key", status_code=200)
    async def revoke(self, name: str, key_id: str, agent_keys: AgentKeys, principal: Principal) -> KeyRevokedView:
        """Revoke a key; it is refused from now on."""
        await agent_keys.revoke(name, key_id, by=principal)
        return KeyRevokedView(key_id, "revoked")
