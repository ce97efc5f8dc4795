"""Agent pairings."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from pairing.connections.domain.agents import Agent
from pairing.connections.domain.pairings import AgentPairing, AgentPairingStatus, PairedAgents, Permission


class ProposeAgentPairing(Struct, frozen=True):
    """Body of `POST /v1/connections/{id}/pairings`."""

    my_agent_id: UUID
    """UUID of the caller's agent."""
    their_agent_id: UUID
    """UUID of the other account's agent."""
    permission: Permission = Permission.BOTH
    """From the caller's perspective."""


class AgentRefView(Struct, frozen=True):
    """An agent, briefly."""

    id: str
    agent_id: str
    name: str

    @classmethod
    def from_domain(cls, agent: Agent) -> "AgentRefView":
        """Show an agent."""
        return cls(str(agent.id), agent.agent_id, agent.name)


class OwnedAgentRefView(Struct, frozen=True):
    """An agent and its account, briefly."""

    id: str
    agent_id: str
    name: str
    account_id: str

    @classmethod
    def from_domain(cls, agent: Agent) -> "OwnedAgentRefView":
        """Show an agent."""
        return cls(str(agent.id), agent.agent_id, agent.name, agent.account_id)


class AgentPairingProposedView(Struct, frozen=True, kw_only=True):
    """Answer of `POST /v1/connections/{id}/pairings`."""

    id: str
    status: str
    my_agent: AgentRefView
    their_agent: AgentRefView
    permission: Permission
    proposed_by: str

    @classmethod
    def from_domain(cls, paired: PairedAgents, account_id: str) -> "AgentPairingProposedView":
        """Show a proposal to the account that made it."""
        return cls(
            id=str(paired.pairing.id),
            status=paired.pairing.status,
            my_agent=AgentRefView.from_domain(paired.mine(account_id)),
            their_agent=AgentRefView.from_domain(paired.theirs(account_id)),
            permission=paired.pairing.permission_of(account_id),
            proposed_by=paired.pairing.proposer_account_id,
        )


class AgentPairingView(Struct, frozen=True, kw_only=True):
    """An agent pairing as one of the accounts sees it. The agents stand in the order of their UUIDs."""

    id: str
    connection_id: str
    agent_a: OwnedAgentRefView
    agent_b: OwnedAgentRefView
    status: str
    """`pending`, `active` or `revoked`."""
    permission: Permission
    """From the caller's perspective."""
    raw_permission: Permission
    """From the proposer's perspective."""
    proposed_by: str
    awaiting_account_id: str | None
    """The account that has to confirm, while the status is pending."""
    agent_a_public_key: str | None
    agent_a_key_version: int
    agent_b_public_key: str | None
    agent_b_key_version: int
    created_at: datetime
    confirmed_at: datetime | None
    revoked_at: datetime | None
    revoked_reason: str | None

    @classmethod
    def from_domain(cls, paired: PairedAgents, account_id: str) -> "AgentPairingView":
        """Show a pairing to one of the accounts; keys are shown while it has not ended."""
        pairing = paired.pairing
        has_ended = pairing.status is AgentPairingStatus.REVOKED
        first, second = sorted((paired.proposer, paired.target), key=lambda agent: str(agent.id))
        return cls(
            id=str(pairing.id),
            connection_id=str(pairing.connection_id),
            agent_a=OwnedAgentRefView.from_domain(first),
            agent_b=OwnedAgentRefView.from_domain(second),
            status=pairing.status,
            permission=pairing.permission_of(account_id),
            raw_permission=pairing.permission,
            proposed_by=pairing.proposer_account_id,
            awaiting_account_id=pairing.awaiting_account_id,
            agent_a_public_key=None if has_ended else first.public_key,
            agent_a_key_version=first.key_version,
            agent_b_public_key=None if has_ended else second.public_key,
            agent_b_key_version=second.key_version,
            created_at=pairing.created_at,
            confirmed_at=pairing.confirmed_at,
            revoked_at=pairing.revoked_at,
            revoked_reason=pairing.revoked_reason,
        )


class AgentPairingsView(Struct, frozen=True):
    """Answer of `GET /v1/pairings` and `GET /v1/connections/{id}/pairings`, newest first."""

    pairings: list[AgentPairingView]

    @classmethod
    def from_domain(cls, paired: list[PairedAgents], account_id: str) -> "AgentPairingsView":
        """Show pairings to one of the accounts."""
        return cls([AgentPairingView.from_domain(one, account_id) for one in paired])


class ConfirmAgentPairing(Struct, frozen=True):
    """Body of `POST /v1/pairings/{id}/confirm`; none is needed."""

    permission: Permission | None = None
    """The permission that the caller means to agree to, from its perspective; another one is not confirmed."""


class AgentPairingConfirmedView(Struct, frozen=True):
    """Answer of `POST /v1/pairings/{id}/confirm`."""

    id: str
    status: str
    confirmed_at: datetime | None
    message: str = "Pairing confirmed. Agents can now exchange files."

    @classmethod
    def from_domain(cls, pairing: AgentPairing) -> "AgentPairingConfirmedView":
        """Show a confirmed pairing."""
        return cls(str(pairing.id), pairing.status, pairing.confirmed_at)


class ChangePermission(Struct, frozen=True):
    """Body of `PATCH /v1/pairings/{id}`."""

    permission: Permission
    """From the caller's perspective."""


class PermissionChangedView(Struct, frozen=True):
    """Answer of `PATCH /v1/pairings/{id}`."""

    id: str
    permission: Permission
    status: str
    message: str = "Permission updated. The other side must re-confirm the pairing."

    @classmethod
    def from_domain(cls, pairing: AgentPairing, account_id: str) -> "PermissionChangedView":
        """Show a changed pairing to the account that changed it."""
        return cls(str(pairing.id), pairing.permission_of(account_id), pairing.status)


class AgentPairingRevokedView(Struct, frozen=True):
    """Answer of `DELETE /v1/pairings/{id}`."""

    id: str
    status: str
