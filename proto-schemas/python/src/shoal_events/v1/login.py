# Generated from shoal/events/v1/login.proto by `python -m generate`; do not edit.
"""Login: the messages of `shoal/events/v1/login.proto`."""

from typing import ClassVar

from shoal_events.message import Event
from shoal_events.types import NonEmpty


class LoginEnded(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A user's signed-in state ended. Whoever holds a socket or a stream that was opened with it closes it."""

    event_type: ClassVar[str] = "login.ended.v1"
    source: ClassVar[str] = "/shoal/gateway"
    producer: ClassVar[str] = "gateway"
    subject_prefix: ClassVar[str] = "shoal.events.login.ended.v1"
    entity: ClassVar[str] = "login_id"

    login_id: NonEmpty
    """The login; never its secret."""

    account_id: NonEmpty
    """The account of the user."""

    user_id: NonEmpty
    """The user who was signed in."""

    reason: NonEmpty
    """Why it ended: `logout`, `expired`, `password_changed`, `role_changed`, `user_deleted` or `account_deleted`.

    Others may be added.
    """
