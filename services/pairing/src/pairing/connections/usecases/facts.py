"""Connections and agent pairings, told as facts."""

from pairing.connections.domain.connections import Block, Connection, ConnectionEnd, InviteEnd
from pairing.connections.domain.pairings import AgentPairing
from shoal_events import (
    AgentPairingConfirmed,
    AgentPairingPermissionChanged,
    AgentPairingProposed,
    AgentPairingRevoked,
    ConnectionAccepted,
    ConnectionAddressed,
    ConnectionBlocked,
    ConnectionInvited,
    ConnectionRejected,
    ConnectionRevoked,
    ConnectionUnblocked,
)


def invited(connection: Connection) -> ConnectionInvited:
    """Tell that an invite was sent."""
    return ConnectionInvited(
        connection_id=str(connection.id),
        inviter_account_id=connection.inviter_account_id,
        invitee_account_id=connection.invitee_account_id,
        version=connection.version,
    )


def addressed(connection: Connection) -> ConnectionAddressed:
    """Tell that somebody has the address of an invite now."""
    return ConnectionAddressed(
        connection_id=str(connection.id),
        inviter_account_id=connection.inviter_account_id,
        invitee_account_id=connection.invitee_account_id or "",
        version=connection.version,
    )


def accepted(connection: Connection) -> ConnectionAccepted:
    """Tell that two accounts are connected."""
    return ConnectionAccepted(
        connection_id=str(connection.id),
        inviter_account_id=connection.inviter_account_id,
        invitee_account_id=connection.invitee_account_id or "",
        version=connection.version,
    )


def rejected(connection: Connection, reason: InviteEnd) -> ConnectionRejected:
    """Tell that an invite is gone."""
    return ConnectionRejected(
        connection_id=str(connection.id),
        inviter_account_id=connection.inviter_account_id,
        invitee_account_id=connection.invitee_account_id,
        reason=reason,
        version=connection.version,
    )


def revoked(connection: Connection, reason: ConnectionEnd) -> ConnectionRevoked:
    """Tell that a connection ended."""
    return ConnectionRevoked(
        connection_id=str(connection.id),
        inviter_account_id=connection.inviter_account_id,
        invitee_account_id=connection.invitee_account_id,
        reason=reason,
        version=connection.version,
    )


def blocked(block: Block) -> ConnectionBlocked:
    """Tell that an account blocked another."""
    return ConnectionBlocked(
        connection_id=str(block.connection_id),
        account_id=block.account_id,
        blocked_account_id=block.blocked_account_id,
        block_id=str(block.id),
    )


def unblocked(block: Block) -> ConnectionUnblocked:
    """Tell that an account lifted a block."""
    return ConnectionUnblocked(
        connection_id=str(block.connection_id),
        account_id=block.account_id,
        blocked_account_id=block.blocked_account_id,
        block_id=str(block.id),
    )


def proposed(pairing: AgentPairing) -> AgentPairingProposed:
    """Tell that a pairing was proposed."""
    return AgentPairingProposed(
        agent_pairing_id=str(pairing.id),
        connection_id=str(pairing.connection_id),
        proposer_account_id=pairing.proposer_account_id,
        proposer_agent_uuid=str(pairing.proposer_agent_id),
        target_account_id=pairing.target_account_id,
        target_agent_uuid=str(pairing.target_agent_id),
        permission=pairing.permission,
        awaiting_account_id=pairing.awaiting_account_id or "",
        version=pairing.version,
    )


def confirmed(pairing: AgentPairing) -> AgentPairingConfirmed:
    """Tell that both sides agree."""
    return AgentPairingConfirmed(
        agent_pairing_id=str(pairing.id),
        connection_id=str(pairing.connection_id),
        proposer_account_id=pairing.proposer_account_id,
        proposer_agent_uuid=str(pairing.proposer_agent_id),
        target_account_id=pairing.target_account_id,
        target_agent_uuid=str(pairing.target_agent_id),
        permission=pairing.permission,
        confirmed_at=pairing.confirmed_at or pairing.created_at,
        version=pairing.version,
    )


def permission_changed(pairing: AgentPairing) -> AgentPairingPermissionChanged:
    """Tell that one side wants another permission."""
    return AgentPairingPermissionChanged(
        agent_pairing_id=str(pairing.id),
        connection_id=str(pairing.connection_id),
        proposer_account_id=pairing.proposer_account_id,
        proposer_agent_uuid=str(pairing.proposer_agent_id),
        target_account_id=pairing.target_account_id,
        target_agent_uuid=str(pairing.target_agent_id),
        permission=pairing.permission,
        awaiting_account_id=pairing.awaiting_account_id or "",
        version=pairing.version,
    )


def ended(pairing: AgentPairing) -> AgentPairingRevoked:
    """Tell that a pairing ended."""
    return AgentPairingRevoked(
        agent_pairing_id=str(pairing.id),
        connection_id=str(pairing.connection_id),
        proposer_account_id=pairing.proposer_account_id,
        proposer_agent_uuid=str(pairing.proposer_agent_id),
        target_account_id=pairing.target_account_id,
        target_agent_uuid=str(pairing.target_agent_id),
        reason=pairing.revoked_reason or "deleted",
        version=pairing.version,
    )
