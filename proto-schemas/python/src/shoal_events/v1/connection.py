# Generated from shoal/events/v1/connection.proto by `python -m generate`; do not edit.
"""Connection: the messages of `shoal/events/v1/connection.proto`."""

from typing import ClassVar

from shoal_events.message import Event
from shoal_events.types import NonEmpty, Positive


class ConnectionInvited(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An account invited whoever has some address to trust it.

    Nothing follows from that until the other side accepts.
    """

    event_type: ClassVar[str] = "connection.invited.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.connection.invited.v1"
    entity: ClassVar[str] = "connection_id"

    connection_id: NonEmpty
    """The connection, a UUID."""

    inviter_account_id: NonEmpty
    """The account that sent the invite."""

    invitee_account_id: str | None = None
    """The account that has the address; absent when nobody does yet, and the invite waits for them."""

    version: Positive
    """Version of the connection's row; a copy takes an event only if its version is newer."""


class ConnectionAddressed(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Somebody now has the address that a waiting invite named."""

    event_type: ClassVar[str] = "connection.addressed.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.connection.addressed.v1"
    entity: ClassVar[str] = "connection_id"

    connection_id: NonEmpty
    """The connection, a UUID."""

    inviter_account_id: NonEmpty
    """The account that sent the invite."""

    invitee_account_id: NonEmpty
    """The account that has the address."""

    version: Positive
    """Version of the connection's row; a copy takes an event only if its version is newer."""


class ConnectionAccepted(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The other account accepted: from now on agents of the two may be paired."""

    event_type: ClassVar[str] = "connection.accepted.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.connection.accepted.v1"
    entity: ClassVar[str] = "connection_id"

    connection_id: NonEmpty
    """The connection, a UUID."""

    inviter_account_id: NonEmpty
    """The account that sent the invite."""

    invitee_account_id: NonEmpty
    """The account that the invite was for."""

    version: Positive
    """Version of the connection's row; a copy takes an event only if its version is newer."""


class ConnectionRejected(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An invite is gone without ever having been accepted."""

    event_type: ClassVar[str] = "connection.rejected.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.connection.rejected.v1"
    entity: ClassVar[str] = "connection_id"

    connection_id: NonEmpty
    """The connection, a UUID."""

    inviter_account_id: NonEmpty
    """The account that sent the invite."""

    invitee_account_id: str | None = None
    """The account that the invite was for; absent when nobody had the address."""

    reason: NonEmpty
    """Why: `rejected` (by the other account) or `superseded` (the address turned out to belong to an account that the
    inviter needs no invite for, or may not send one). Others may be added.
    """

    version: Positive
    """Version of the connection's row; the last one."""


class ConnectionRevoked(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A connection ended, or an invite was taken back. Its agent pairings end with events of their own."""

    event_type: ClassVar[str] = "connection.revoked.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.connection.revoked.v1"
    entity: ClassVar[str] = "connection_id"

    connection_id: NonEmpty
    """The connection, a UUID."""

    inviter_account_id: NonEmpty
    """The account that sent the invite."""

    invitee_account_id: str | None = None
    """The other account; absent when the invite named an address that nobody has."""

    reason: NonEmpty
    """Why: `deleted` (by one of the accounts), `blocked` or `account_deleted`. Others may be added."""

    version: Positive
    """Version of the connection's row; the last one."""


class ConnectionBlocked(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An account blocked another: neither can invite the other until the block is lifted."""

    event_type: ClassVar[str] = "connection.blocked.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.connection.blocked.v1"
    entity: ClassVar[str] = "connection_id"

    connection_id: NonEmpty
    """The connection that made the blocked account known, a UUID."""

    account_id: NonEmpty
    """The account that blocks."""

    blocked_account_id: NonEmpty
    """The account that is blocked."""

    block_id: NonEmpty
    """The block, a UUID."""


class ConnectionUnblocked(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An account lifted a block. That restores nothing."""

    event_type: ClassVar[str] = "connection.unblocked.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.connection.unblocked.v1"
    entity: ClassVar[str] = "connection_id"

    connection_id: NonEmpty
    """The connection that had made the blocked account known, a UUID."""

    account_id: NonEmpty
    """The account that blocked."""

    blocked_account_id: NonEmpty
    """The account that was blocked."""

    block_id: NonEmpty
    """The block, a UUID."""
