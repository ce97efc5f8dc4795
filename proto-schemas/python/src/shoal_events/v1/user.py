# Generated from shoal/events/v1/user.proto by `python -m generate`; do not edit.
"""User: the messages of `shoal/events/v1/user.proto`."""

from typing import ClassVar

from shoal_events.message import Event
from shoal_events.types import NonEmpty, Positive


class UserCreated(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A person may now sign in."""

    event_type: ClassVar[str] = "user.created.v1"
    source: ClassVar[str] = "/shoal/gateway"
    producer: ClassVar[str] = "gateway"
    subject_prefix: ClassVar[str] = "shoal.events.user.created.v1"
    entity: ClassVar[str] = "user_id"

    user_id: NonEmpty
    """The user."""

    account_id: NonEmpty
    """The account that the user belongs to, for ever."""

    username: NonEmpty
    """The name to sign in with, unique in the installation."""

    email: NonEmpty
    """The address that connection invites name."""

    role: NonEmpty
    """What the user may do within the account: `admin` or `user`."""

    version: Positive
    """Version of the user's row; a copy takes an event only if its version is newer."""


class UserUpdated(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A user's name, address or role changed. The event carries the whole user as it is now."""

    event_type: ClassVar[str] = "user.updated.v1"
    source: ClassVar[str] = "/shoal/gateway"
    producer: ClassVar[str] = "gateway"
    subject_prefix: ClassVar[str] = "shoal.events.user.updated.v1"
    entity: ClassVar[str] = "user_id"

    user_id: NonEmpty
    """The user."""

    account_id: NonEmpty
    """The account that the user belongs to, for ever."""

    username: NonEmpty
    """The name to sign in with, unique in the installation."""

    email: NonEmpty
    """The address that connection invites name."""

    role: NonEmpty
    """What the user may do within the account: `admin` or `user`."""

    version: Positive
    """Version of the user's row; a copy takes an event only if its version is newer."""


class UserDeleted(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A user was deleted. The user's logins and keys end with it, each with an event of its own."""

    event_type: ClassVar[str] = "user.deleted.v1"
    source: ClassVar[str] = "/shoal/gateway"
    producer: ClassVar[str] = "gateway"
    subject_prefix: ClassVar[str] = "shoal.events.user.deleted.v1"
    entity: ClassVar[str] = "user_id"

    user_id: NonEmpty
    """The user."""

    account_id: NonEmpty
    """The account that the user belonged to."""

    version: Positive
    """Version of the user's row; the last one."""
