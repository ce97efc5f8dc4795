"""Agents."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from pairing.connections.domain.agents import (
    Agent,
    AgentType,
    NewAgent,
    PublicKeys,
    RegisteredAgent,
)
from pairing.connections.domain.pairings import Directions
from pairing.connections.domain.people import OwnedAgent
from pairing.connections.errors import Candidate
from shoal.http.bodies import ErrorBody, ErrorView

Slug = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z", description="The account's own name for an agent.")]
Label = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")]
Description = Annotated[str, Meta(max_length=2000)]
WebhookUrl = Annotated[str, Meta(pattern=r"^https://[^\s/?#]+\S*\Z", max_length=2048)]
Key32 = Annotated[str, Meta(pattern=r"^[A-Za-z0-9+/]{43}=\Z", description="32 bytes in base64.")]


class _Keys(Struct, frozen=True, kw_only=True):
    public_key_algorithm: Literal["X25519"] = "X25519"
    signing_public_key: Key32 | None = None
    signing_key_algorithm: Literal["Ed25519"] = "Ed25519"

    def _with(self, public_key: str) -> PublicKeys:
        signing = self.signing_key_algorithm if self.signing_public_key else None
        return PublicKeys(public_key, self.public_key_algorithm, self.signing_public_key, signing)


class RegisterAgent(_Keys, frozen=True, kw_only=True):
    """Body of `POST /v1/agents/register`: with a public key in one shot, without one in two steps."""

    agent_id: Slug
    name: Label | None = None
    """What people call the agent; by default its agent_id."""
    description: Description | None = None
    webhook_url: WebhookUrl | None = None
    """Kept and shown; nothing is sent there."""
    agent_type: AgentType = AgentType.CUSTOM
    metadata: dict[str, Any] | None = None
    available_for_connections: bool = False
    public_key: Key32 | None = None

    def to_domain(self) -> NewAgent:
        """Read what is to be registered."""
        return NewAgent(
            agent_id=self.agent_id,
            name=(self.name or self.agent_id).strip(),
            description=self.description,
            webhook_url=self.webhook_url,
            agent_type=self.agent_type,
            metadata=self.metadata,
            is_available=self.available_for_connections,
            keys=self._with(self.public_key) if self.public_key else None,
        )


class ConnectAgent(_Keys, frozen=True, kw_only=True):
    """Body of `POST /v1/agents/connect`."""

    public_key: Key32

    def to_domain(self) -> PublicKeys:
        """Read the keys."""
        return self._with(self.public_key)


class ChangeAgent(Struct, frozen=True, kw_only=True):
    """Body of `PATCH /v1/agents/{id}`: what is left out stays; `metadata` is replaced whole."""

    name: Label | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    webhook_url: WebhookUrl | UnsetType | None = UNSET
    agent_type: AgentType | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType | None = UNSET
    available_for_connections: bool | UnsetType = UNSET

    def changes(self) -> dict[str, Any]:
        """Give what is to be changed, by field of `Agent`."""
        given = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not UNSET}
        if "name" in given:
            given["name"] = given["name"].strip()
        if "available_for_connections" in given:
            given["is_available"] = given.pop("available_for_connections")
        return given


class AgentView(Struct, frozen=True, kw_only=True):
    """An agent as its account sees it."""

    id: str
    """Its UUID."""
    agent_uuid: str
    agent_id: str
    name: str
    description: str | None
    webhook_url: str | None
    agent_type: AgentType
    connection_status: str
    """`pending`, `connected` or `disconnected`."""
    public_key: str | None
    public_key_algorithm: str | None
    key_version: int
    signing_public_key: str | None
    available_for_connections: bool
    last_seen_at: datetime | None
    metadata: dict[str, Any] | None
    created_at: datetime

    @classmethod
    def from_domain(cls, agent: Agent) -> "AgentView":
        """Show an agent."""
        return cls(**_shown(agent))


class AgentsView(Struct, frozen=True):
    """Answer of `GET /v1/agents`, oldest first."""

    agents: list[AgentView]

    @classmethod
    def from_domain(cls, agents: list[Agent]) -> "AgentsView":
        """Show an account's agents."""
        return cls([AgentView.from_domain(agent) for agent in agents])


class AgentRegisteredView(AgentView, frozen=True, kw_only=True):
    """Answer of `POST /v1/agents/register`; a token is shown this once."""

    inbox_url: str
    message: str
    connection_token: str | UnsetType = UNSET
    """With which the agent hands in its public key, once."""
    token_expires_at: datetime | UnsetType = UNSET

    @classmethod
    def from_registered(cls, registered: RegisteredAgent) -> "AgentRegisteredView":
        """Show a new agent."""
        agent, token, inbox_url = registered.agent, registered.token, registered.inbox_url
        if token is None:
            return cls(**_shown(agent), inbox_url=inbox_url, message="Agent registered and connected.")
        return cls(
            **_shown(agent),
            inbox_url=inbox_url,
            message="Agent registered. Connect it with the token within its time.",
            connection_token=token.token,
            token_expires_at=token.expires_at,
        )


class ConnectTokenView(Struct, frozen=True):
    """Answer of `POST /v1/agents/{id}/token`; shown this once, and the one before is dead."""

    agent_id: str
    agent_uuid: str
    connection_token: str
    token_expires_at: datetime


class AgentConnectedView(Struct, frozen=True):
    """Answer of `POST /v1/agents/connect`."""

    agent_id: str
    agent_uuid: str
    status: str
    key_version: int


class AgentDisconnectedView(Struct, frozen=True):
    """Answer of `POST /v1/agents/{id}/disconnect`."""

    agent_id: str
    agent_uuid: str
    status: str
    message: str


class AgentDeletedView(Struct, frozen=True):
    """Answer of `DELETE /v1/agents/{id}`."""

    id: str
    agent_id: str
    deleted: bool
    pairings_revoked: int


class ResolvedAgentView(Struct, frozen=True, kw_only=True):
    """Answer of `GET /v1/agents/resolve`: what is needed to encrypt for an agent."""

    id: str
    agent_uuid: str
    agent_id: str
    name: str
    account_id: str
    public_key: str | None
    public_key_algorithm: str | None
    key_version: int
    signing_public_key: str | None
    connection_status: str

    @classmethod
    def from_domain(cls, owned: OwnedAgent) -> "ResolvedAgentView":
        """Show an agent to those who may send to it."""
        agent = owned.agent
        return cls(
            id=str(agent.id),
            agent_uuid=str(agent.id),
            agent_id=agent.agent_id,
            name=agent.name,
            account_id=agent.account_id,
            public_key=agent.public_key,
            public_key_algorithm=agent.public_key_algorithm,
            key_version=agent.key_version,
            signing_public_key=agent.signing_public_key,
            connection_status=agent.status,
        )


class OfferedAgentView(Struct, frozen=True):
    """An agent that the other account offers for pairings."""

    id: str
    agent_id: str
    name: str
    description: str | None
    agent_type: AgentType
    connection_status: str

    @classmethod
    def from_domain(cls, agent: Agent) -> "OfferedAgentView":
        """Show an agent to a connected account."""
        return cls(str(agent.id), agent.agent_id, agent.name, agent.description, agent.agent_type, agent.status)


class OfferedAgentsView(Struct, frozen=True):
    """Answer of `GET /v1/connections/{id}/agents`, oldest first."""

    agents: list[OfferedAgentView]


class DirectionsView(Struct, frozen=True):
    """Answer of `GET /v1/agents/{id}/can-send`: what may pass right now."""

    can_send: bool
    can_receive: bool

    @classmethod
    def from_domain(cls, directions: Directions) -> "DirectionsView":
        """Show what may pass."""
        return cls(directions.can_send, directions.can_receive)


class AmbiguousView(ErrorView, frozen=True):
    """That a name may stand for agents of several accounts, and which those are."""

    candidates: tuple[Candidate, ...]


class AmbiguousBody(ErrorBody, frozen=True):
    """The refusal of an ambiguous name."""

    error: AmbiguousView


def _shown(agent: Agent) -> dict[str, Any]:
    return {
        "id": str(agent.id),
        "agent_uuid": str(agent.id),
        "agent_id": agent.agent_id,
        "name": agent.name,
        "description": agent.description,
        "webhook_url": agent.webhook_url,
        "agent_type": agent.agent_type,
        "connection_status": agent.status,
        "public_key": agent.public_key,
        "public_key_algorithm": agent.public_key_algorithm,
        "key_version": agent.key_version,
        "signing_public_key": agent.signing_public_key,
        "available_for_connections": agent.is_available,
        "last_seen_at": agent.last_seen_at,
        "metadata": agent.metadata,
        "created_at": agent.created_at,
    }
