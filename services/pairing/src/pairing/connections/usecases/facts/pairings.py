"""Agent pairings, told as facts."""

from typing import TypedDict

from pairing.connections.domain.pairings import AgentPairing
from shoal_events import (
    AgentPairingConfirmed,
    AgentPairingPermissionChanged,
    AgentPairingProposed,
    AgentPairingRevoked,
)


class _Named(TypedDict):
    """What every fact of a pairing says: which one, and whose."""

    agent_pairing_id: str
    connection_id: str
    proposer_account_id: str
    proposer_agent_uuid: str
    target_account_id: str
    target_agent_uuid: str
    version: int


def proposed(pairing: AgentPairing) -> AgentPairingProposed:
    """Tell that a pairing was proposed."""
    return AgentPairingProposed(
        **_named(pairing), permission=pairing.permission, awaiting_account_id=pairing.awaiting_account_id or ""
    )


def confirmed(pairing: AgentPairing) -> AgentPairingConfirmed:
    """Tell that both sides agree."""
    return AgentPairingConfirmed(
        **_named(pairing),
        permission=pairing.permission,
        confirmed_at=pairing.confirmed_at or pairing.created_at,
    )


def permission_changed(pairing: AgentPairing) -> AgentPairingPermissionChanged:
    """Tell that one side wants another permission."""
    return AgentPairingPermissionChanged(
        **_named(pairing), permission=pairing.permission, awaiting_account_id=pairing.awaiting_account_id or ""
    )


def ended(pairing: AgentPairing) -> AgentPairingRevoked:
    """Tell that a pairing ended."""
    return AgentPairingRevoked(**_named(pairing), reason=pairing.revoked_reason or "deleted")


def _named(pairing: AgentPairing) -> _Named:
    return {
        "agent_pairing_id": str(pairing.id),
        "connection_id": str(pairing.connection_id),
        "proposer_account_id": pairing.proposer_account_id,
        "proposer_agent_uuid": str(pairing.proposer_agent_id),
        "target_account_id": pairing.target_account_id,
        "target_agent_uuid": str(pairing.target_agent_id),
        "version": pairing.version,
    }
