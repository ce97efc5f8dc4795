"""The profile that an agent asks for first."""

from datetime import datetime
from typing import Any

from msgspec import Struct

from pairing.connections.domain.agents import Agent
from pairing.connections.domain.people import Profile
from pairing.connections.domain.plans import Limits


class ProfileAgentView(Struct, frozen=True, kw_only=True):
    """The agent itself."""

    id: str
    agent_id: str
    name: str
    description: str | None
    connection_status: str
    key_version: int
    public_key_algorithm: str | None
    available_for_connections: bool
    last_seen_at: datetime | None

    @classmethod
    def from_domain(cls, agent: Agent) -> "ProfileAgentView":
        """Show an agent to itself."""
        return cls(
            id=str(agent.id),
            agent_id=agent.agent_id,
            name=agent.name,
            description=agent.description,
            connection_status=agent.status,
            key_version=agent.key_version,
            public_key_algorithm=agent.public_key_algorithm,
            available_for_connections=agent.is_available,
            last_seen_at=agent.last_seen_at,
        )


class ProfileAccountView(Struct, frozen=True):
    """The account that the agent belongs to."""

    plan: str
    email: str | None


class ProfileConnectionsView(Struct, frozen=True):
    """Whom the agent knows."""

    active: int
    pending_incoming: int
    pending_outgoing: int
    paired_agents: list[str]


class InboxView(Struct, frozen=True):
    """Files that wait; Shoal carries none."""

    unread_transfers: int
    recent: list[Any]


class BroadcastsView(Struct, frozen=True):
    """News of the platform; Shoal sends none."""

    unread_count: int
    urgent: list[Any]


class SdkVersionsView(Struct, frozen=True):
    """The newest client libraries; null where Shoal knows of none."""

    node: str | None
    python: str | None
    mcp: str | None


class SdkView(Struct, frozen=True):
    """Client libraries."""

    latest_versions: SdkVersionsView


class ProfileView(Struct, frozen=True, kw_only=True):
    """Answer of `GET /v1/agents/me`."""

    agent: ProfileAgentView | None
    """Null when a user asks without naming an agent in `X-AgentDrop-Agent`."""
    account: ProfileAccountView
    plan_limits: Limits
    connections: ProfileConnectionsView
    inbox: InboxView
    broadcasts: BroadcastsView
    sdk: SdkView

    @classmethod
    def from_domain(cls, profile: Profile) -> "ProfileView":
        """Show a profile."""
        return cls(
            agent=ProfileAgentView.from_domain(profile.agent) if profile.agent else None,
            account=ProfileAccountView(profile.plan, profile.email),
            plan_limits=profile.limits,
            connections=ProfileConnectionsView(
                profile.active, profile.pending_incoming, profile.pending_outgoing, profile.paired_agents
            ),
            inbox=InboxView(0, []),
            broadcasts=BroadcastsView(0, []),
            sdk=SdkView(SdkVersionsView(None, None, None)),
        )
