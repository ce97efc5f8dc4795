"""Connections and blocks, told as facts."""

from pairing.connections.domain.connections import Block, Connection, ConnectionEnd, InviteEnd
from shoal_events import (
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
