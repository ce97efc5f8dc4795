# Generated from shoal/events/v1/account.proto by `python -m generate`; do not edit.
"""Account: the messages of `shoal/events/v1/account.proto`."""

from typing import ClassVar

from shoal_events.message import Event
from shoal_events.types import NonEmpty, Positive


class AccountCreated(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An account came into being. Every user, key, agent and pairing belongs to one."""

    event_type: ClassVar[str] = "account.created.v1"
    source: ClassVar[str] = "/shoal/gateway"
    producer: ClassVar[str] = "gateway"
    subject_prefix: ClassVar[str] = "shoal.events.account.created.v1"
    entity: ClassVar[str] = "account_id"

    account_id: NonEmpty
    """The account."""

    name: NonEmpty
    """What its people call it."""

    version: Positive
    """Version of the account's row; a copy takes an event only if its version is newer."""

    plan: str = ""
    """The plan that limits the account; empty stands for the plan that is configured as the default."""


class AccountDeleted(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An account was deleted, and with it all that belonged to it: every service forgets what it holds of the account."""

    event_type: ClassVar[str] = "account.deleted.v1"
    source: ClassVar[str] = "/shoal/gateway"
    producer: ClassVar[str] = "gateway"
    subject_prefix: ClassVar[str] = "shoal.events.account.deleted.v1"
    entity: ClassVar[str] = "account_id"

    account_id: NonEmpty
    """The account."""

    version: Positive
    """Version of the account's row; the last one."""
