"""What an agent pairing is: who may send to whom, once both sides have agreed."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from pairing.connections.domain.agents import Agent
from pairing.connections.errors import (
    AgentPairingAlreadyRevokedError,
    CannotConfirmOwnError,
    CannotRejectOwnError,
    InvalidStatusError,
    PermissionChangedError,
)


class Permission(StrEnum):
    """Who may send, seen from one side."""

    BOTH = "both"
    SEND_ONLY = "send_only"
    RECEIVE_ONLY = "receive_only"

    @property
    def flipped(self) -> "Permission":
        """The same, seen from the other side."""
        return _FLIPPED[self]

    @property
    def lets_send(self) -> bool:
        """Whether this side may send."""
        return self is not Permission.RECEIVE_ONLY


_FLIPPED = {
    Permission.BOTH: Permission.BOTH,
    Permission.SEND_ONLY: Permission.RECEIVE_ONLY,
    Permission.RECEIVE_ONLY: Permission.SEND_ONLY,
}


class AgentPairingStatus(StrEnum):
    """Where an agent pairing stands."""

    PENDING = "pending"
    ACTIVE = "active"
    REVOKED = "revoked"


class AgentPairingEnd(StrEnum):
    """Why an agent pairing ended."""

    DELETED = "deleted"
    REJECTED = "rejected"
    CONNECTION_REVOKED = "connection_revoked"
    BLOCKED = "blocked"
    AGENT_DELETED = "agent_deleted"
    ACCOUNT_DELETED = "account_deleted"


class Direction(StrEnum):
    """Which agent pairings wait for whom."""

    INCOMING = "incoming"
    OUTGOING = "outgoing"


class Proposal(Struct, frozen=True, kw_only=True):
    """What one account proposes to another; the permission is seen from the proposer's side."""

    proposer_account_id: str
    proposer_agent_id: UUID
    target_account_id: str
    target_agent_id: UUID
    permission: Permission


class AgentPairing(Struct, frozen=True, kw_only=True):
    """Two agents of two connected accounts.

    One permission is stored, seen from the proposer's side. While the status is pending, `awaiting_account_id` names
    the account that has to agree: the other one than that which proposed or changed the permission last.
    """

    id: UUID
    connection_id: UUID
    proposer_account_id: str
    proposer_agent_id: UUID
    target_account_id: str
    target_agent_id: UUID
    permission: Permission
    status: AgentPairingStatus
    awaiting_account_id: str | None
    version: int
    created_at: datetime
    confirmed_at: datetime | None
    revoked_at: datetime | None
    revoked_reason: AgentPairingEnd | None

    def permission_of(self, account_id: str) -> Permission:
        """Give the permission as an account sees it."""
        return self.permission if account_id == self.proposer_account_id else self.permission.flipped

    def agent_of(self, account_id: str) -> UUID:
        """Name an account's own agent."""
        return self.proposer_agent_id if account_id == self.proposer_account_id else self.target_agent_id

    def other_than(self, account_id: str) -> str:
        """Name the other account."""
        return self.target_account_id if account_id == self.proposer_account_id else self.proposer_account_id

    def lets_send(self, account_id: str) -> bool:
        """Tell whether an account's agent may send to the other one now."""
        return self.status is AgentPairingStatus.ACTIVE and self.permission_of(account_id).lets_send

    def confirmed(self, by: str, *, at: datetime, meaning: Permission | None) -> "AgentPairing":
        """Agree to the permission.

        Args:
            by: The account that agrees.
            at: When.
            meaning: The permission that the account believes to agree to, from its side; None takes what stands.

        Raises:
            InvalidStatusError: It is not pending.
            CannotConfirmOwnError: It is for the other account to agree.
            PermissionChangedError: The permission is another one by now.
        """
        if self.status is not AgentPairingStatus.PENDING:
            raise InvalidStatusError
        if self.awaiting_account_id != by:
            raise CannotConfirmOwnError
        if meaning is not None and meaning is not self.permission_of(by):
            raise PermissionChangedError
        return replace(
            self,
            status=AgentPairingStatus.ACTIVE,
            awaiting_account_id=None,
            confirmed_at=at,
            version=self.version + 1,
        )

    def changed(self, permission: Permission, by: str) -> "AgentPairing":
        """Want another permission, seen from the side of whoever wants it; the other side has to agree.

        Raises:
            InvalidStatusError: The pairing has ended.
        """
        if self.status is AgentPairingStatus.REVOKED:
            raise InvalidStatusError
        return replace(
            self,
            permission=permission if by == self.proposer_account_id else permission.flipped,
            status=AgentPairingStatus.PENDING,
            awaiting_account_id=self.other_than(by),
            confirmed_at=None,
            version=self.version + 1,
        )

    def rejected(self, by: str, *, at: datetime) -> "AgentPairing":
        """Refuse to agree, which ends the pairing.

        Raises:
            InvalidStatusError: It is not pending.
            CannotRejectOwnError: It is for the other account to answer.
        """
        if self.status is not AgentPairingStatus.PENDING:
            raise InvalidStatusError
        if self.awaiting_account_id != by:
            raise CannotRejectOwnError
        return self.revoked(AgentPairingEnd.REJECTED, at=at)

    def revoked(self, reason: AgentPairingEnd, *, at: datetime) -> "AgentPairing":
        """End the pairing for good.

        Raises:
            AgentPairingAlreadyRevokedError: It has ended already.
        """
        if self.status is AgentPairingStatus.REVOKED:
            raise AgentPairingAlreadyRevokedError
        return replace(
            self,
            status=AgentPairingStatus.REVOKED,
            awaiting_account_id=None,
            revoked_at=at,
            revoked_reason=reason,
            version=self.version + 1,
        )


class PairedAgents(NamedTuple):
    """An agent pairing with its two agents."""

    pairing: AgentPairing
    proposer: Agent
    target: Agent

    def mine(self, account_id: str) -> Agent:
        """Give an account's own agent."""
        return self.proposer if account_id == self.pairing.proposer_account_id else self.target

    def theirs(self, account_id: str) -> Agent:
        """Give the other account's agent."""
        return self.target if account_id == self.pairing.proposer_account_id else self.proposer


class Directions(Struct, frozen=True):
    """What may pass between two agents now, seen from the first."""

    can_send: bool
    can_receive: bool


def directions(mine: Agent, theirs: Agent | None, pairing: AgentPairing | None) -> Directions:
    """Tell what may pass between two agents now.

    Agents of one account need no more than a key each; others also a pairing that both sides have agreed to.
    """
    if theirs is None or not (mine.is_connected and theirs.is_connected):
        return Directions(can_send=False, can_receive=False)
    if mine.account_id == theirs.account_id:
        return Directions(can_send=True, can_receive=True)
    if pairing is None:
        return Directions(can_send=False, can_receive=False)
    return Directions(pairing.lets_send(mine.account_id), pairing.lets_send(theirs.account_id))
