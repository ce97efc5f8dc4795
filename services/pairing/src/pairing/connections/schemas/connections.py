"""Connections, invites and blocks."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from pairing.connections.domain.connections import (
    Blocked,
    Connection,
    ConnectionStatus,
    ListedBlock,
    ListedConnection,
)

Email = Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+\Z", max_length=256)]


class Invite(Struct, frozen=True):
    """Body of `POST /v1/connections`."""

    email: Email
    message: Annotated[str, Meta(max_length=500)] | None = None


class InvitedView(Struct, frozen=True):
    """Answer of `POST /v1/connections`, whether or not somebody has the address."""

    id: str
    status: str
    invited_email: str
    message: str | None
    created_at: datetime

    @classmethod
    def from_domain(cls, connection: Connection) -> "InvitedView":
        """Show a new invite."""
        return cls(
            str(connection.id),
            connection.status,
            connection.invited_email,
            connection.message,
            connection.created_at,
        )


class AccountView(Struct, frozen=True):
    """Another account. Of whoever an own invite is for, nothing is known but the address."""

    id: str | None
    name: str | None
    email: str | None
    avatar_url: str | None = None


class ConnectionView(Struct, frozen=True, kw_only=True):
    """A connection as one of the accounts sees it."""

    id: str
    other_account: AccountView
    status: str
    invited_by: str
    """The account that sent the invite."""
    message: str | None
    created_at: datetime
    accepted_at: datetime | None
    pairing_count: int
    pending_pairing_count: int

    @classmethod
    def from_domain(cls, connection: ListedConnection, account_id: str) -> "ConnectionView":
        """Show a connection to an account."""
        return cls(
            id=str(connection.id),
            other_account=_other(connection, account_id),
            status=connection.status,
            invited_by=connection.inviter_account_id,
            message=connection.message,
            created_at=connection.created_at,
            accepted_at=connection.accepted_at,
            pairing_count=connection.pairing_count,
            pending_pairing_count=connection.pending_pairing_count,
        )


# named by what the contract's list calls it: `from` is no name in Python
class IncomingView(Struct, frozen=True, rename={"from_": "from"}):
    """An invite that waits for this account."""

    id: str
    from_: AccountView
    message: str | None
    created_at: datetime


class OutgoingView(Struct, frozen=True):
    """An invite that this account sent."""

    id: str
    to_email: str
    message: str | None
    created_at: datetime


class ConnectionsView(Struct, frozen=True, kw_only=True):
    """Answer of `GET /v1/connections`, newest first."""

    connections: list[ConnectionView]
    pending_incoming: list[IncomingView]
    pending_outgoing: list[OutgoingView]
    pending_pairings_count: int

    @classmethod
    def from_domain(cls, connections: list[ListedConnection], account_id: str) -> "ConnectionsView":
        """Show an account's connections and invites."""
        pending = [one for one in connections if one.status is ConnectionStatus.PENDING]
        return cls(
            connections=[ConnectionView.from_domain(one, account_id) for one in connections if one.is_active],
            pending_incoming=[
                IncomingView(str(one.id), _other(one, account_id), one.message, one.created_at)
                for one in pending
                if not one.is_own_invite(account_id)
            ],
            pending_outgoing=[
                OutgoingView(str(one.id), one.invited_email, one.message, one.created_at)
                for one in pending
                if one.is_own_invite(account_id)
            ],
            pending_pairings_count=sum(one.pending_pairing_count for one in connections),
        )


class AcceptedView(Struct, frozen=True):
    """Answer of `POST /v1/connections/{id}/accept`."""

    id: str
    status: str
    message: str = "Connection established."


class RejectedView(Struct, frozen=True):
    """Answer of `POST /v1/connections/{id}/reject` and `POST /v1/pairings/{id}/reject`."""

    id: str
    status: str = "rejected"


class ConnectionRevokedView(Struct, frozen=True):
    """Answer of `DELETE /v1/connections/{id}`."""

    id: str
    pairings_revoked: int
    status: str = "revoked"


class BlockedView(Struct, frozen=True):
    """Answer of `POST /v1/connections/{id}/block`."""

    blocked_account_id: str
    pairings_revoked: int
    connection_revoked: bool = True

    @classmethod
    def from_domain(cls, blocked: Blocked) -> "BlockedView":
        """Show what a block did."""
        return cls(blocked.account_id, blocked.pairings_revoked)


class BlockView(Struct, frozen=True):
    """An account that this one has blocked."""

    id: str
    account: AccountView
    blocked_at: datetime

    @classmethod
    def from_domain(cls, block: ListedBlock) -> "BlockView":
        """Show a block."""
        return cls(str(block.id), AccountView(block.blocked_account_id, block.name, block.email), block.blocked_at)


class BlocksView(Struct, frozen=True):
    """Answer of `GET /v1/blocked`, newest first."""

    blocked: list[BlockView]


class UnblockedView(Struct, frozen=True):
    """Answer of `DELETE /v1/blocked/{id}`."""

    unblocked_account_id: str
    message: str = "Account unblocked. Connections and pairings are not restored."


def _other(connection: ListedConnection, account_id: str) -> AccountView:
    if connection.inviter_account_id == account_id and connection.accepted_at is None:
        return AccountView(None, None, connection.invited_email)
    return AccountView(connection.other_account_id, connection.other_name, connection.other_email)
