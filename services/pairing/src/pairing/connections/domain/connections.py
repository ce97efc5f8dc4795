"""What a connection is: two accounts, one of which invited the other."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from pairing.connections.errors import (
    AlreadyProcessedError,
    ConnectionAlreadyRevokedError,
    NobodyToBlockError,
    OwnInviteError,
)


class ConnectionStatus(StrEnum):
    """Where a connection stands."""

    PENDING = "pending"
    ACTIVE = "active"
    REVOKED = "revoked"


class ConnectionEnd(StrEnum):
    """Why a connection ended."""

    DELETED = "deleted"
    BLOCKED = "blocked"
    ACCOUNT_DELETED = "account_deleted"


class InviteEnd(StrEnum):
    """Why an invite is gone that nobody accepted."""

    REJECTED = "rejected"
    SUPERSEDED = "superseded"


class Shown(StrEnum):
    """Which connections a list shows."""

    ALL = "all"
    ACTIVE = "active"
    PENDING = "pending"


class Connection(Struct, frozen=True, kw_only=True):
    """Trust between two accounts, or an invite to it. Nobody is the invitee yet while nobody has the address."""

    id: UUID
    inviter_account_id: str
    invitee_account_id: str | None
    invited_email: str
    message: str | None
    status: ConnectionStatus
    version: int
    created_at: datetime
    accepted_at: datetime | None

    @property
    def is_active(self) -> bool:
        """Whether agents of the two accounts may be paired."""
        return self.status is ConnectionStatus.ACTIVE

    def is_own_invite(self, account_id: str) -> bool:
        """Whether this is an invite that an account sent and that nobody has answered."""
        return self.status is ConnectionStatus.PENDING and self.inviter_account_id == account_id

    def other_than(self, account_id: str) -> str | None:
        """Name the other account."""
        return self.invitee_account_id if account_id == self.inviter_account_id else self.inviter_account_id

    def accepted(self, by: str, *, at: datetime) -> "Connection":
        """Accept an invite.

        Raises:
            OwnInviteError: The account sent it itself.
            AlreadyProcessedError: It is no invite any more.
        """
        self._check_answer(by)
        return replace(self, status=ConnectionStatus.ACTIVE, accepted_at=at, version=self.version + 1)

    def rejected(self, by: str) -> "Connection":
        """Reject an invite; the row is deleted.

        Raises:
            OwnInviteError: The account sent it itself.
            AlreadyProcessedError: It is no invite any more.
        """
        self._check_answer(by)
        return self.superseded()

    def superseded(self) -> "Connection":
        """Give an invite up; the row is deleted."""
        return replace(self, version=self.version + 1)

    def addressed(self, account_id: str) -> "Connection":
        """Give an invite to the account that turned out to have its address."""
        return replace(self, invitee_account_id=account_id, version=self.version + 1)

    def revoked(self) -> "Connection":
        """End a connection, or take an invite back.

        Raises:
            ConnectionAlreadyRevokedError: It has ended already.
        """
        if self.status is ConnectionStatus.REVOKED:
            raise ConnectionAlreadyRevokedError
        return replace(self, status=ConnectionStatus.REVOKED, version=self.version + 1)

    def to_block(self, by: str) -> str:
        """Name the account that an account blocks by way of this connection.

        Raises:
            NobodyToBlockError: It is the account's own invite; who has the address is not for it to know.
        """
        other = self.other_than(by)
        if other is None or (self.inviter_account_id == by and self.accepted_at is None):
            raise NobodyToBlockError
        return other

    def _check_answer(self, by: str) -> None:
        if self.inviter_account_id == by:
            raise OwnInviteError
        if self.status is not ConnectionStatus.PENDING:
            raise AlreadyProcessedError


class ListedConnection(Connection, frozen=True, kw_only=True):
    """A connection as one of the accounts sees it: with the other one, and how many agent pairings stand under it."""

    other_account_id: str | None
    other_name: str | None
    other_email: str | None
    pairing_count: int
    pending_pairing_count: int


class Block(Struct, frozen=True, kw_only=True):
    """An account that another wants to hear nothing of."""

    id: UUID
    account_id: str
    blocked_account_id: str
    connection_id: UUID
    blocked_at: datetime


class ListedBlock(Block, frozen=True, kw_only=True):
    """A block with the name and address of the account that is blocked."""

    name: str | None
    email: str | None


class Blocked(Struct, frozen=True):
    """What a block did."""

    account_id: str
    pairings_revoked: int
