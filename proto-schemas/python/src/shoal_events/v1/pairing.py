# Generated from shoal/events/v1/pairing.proto by `python -m generate`; do not edit.
"""Pairing: the messages of `shoal/events/v1/pairing.proto`."""

from typing import ClassVar

from shoal_events.message import Event
from shoal_events.types import NonEmpty, Positive, Timestamp


class PairingOpened(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A user asked for a pairing token, and an agent may now redeem it."""

    event_type: ClassVar[str] = "pairing.opened.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.pairing.opened.v1"
    entity: ClassVar[str] = "pairing_id"

    pairing_id: NonEmpty
    """The pairing."""

    account_id: NonEmpty
    """The account that the agent will belong to."""

    user_id: NonEmpty
    """The user who opened it."""

    name: str = ""
    """What the user calls it; empty when not named."""

    expires_at: Timestamp
    """When the token stops being good."""

    version: Positive
    """Version of the pairing's row; a copy takes an event only if its version is newer."""


class PairingConfirmed(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An agent redeemed the pairing token: it belongs to the account now, and may send telemetry."""

    event_type: ClassVar[str] = "pairing.confirmed.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.pairing.confirmed.v1"
    entity: ClassVar[str] = "pairing_id"

    pairing_id: NonEmpty
    """The pairing."""

    account_id: NonEmpty
    """The account that the agent belongs to."""

    user_id: NonEmpty
    """The user who opened the pairing."""

    name: str = ""
    """What the user calls it; empty when not named."""

    agent_id: NonEmpty
    """The agent, unique within the account."""

    handle: str | None = None
    """The name that the agent gave for itself, when it gave one."""

    telemetry_token_sha256: NonEmpty
    """SHA-256 of the agent's telemetry token, 64 hexadecimal digits. The token itself is shown once, to the agent."""

    confirmed_at: Timestamp
    """When the token was redeemed."""

    version: Positive
    """Version of the pairing's row; a copy takes an event only if its version is newer."""


class PairingRenamed(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A user gave the pairing another name."""

    event_type: ClassVar[str] = "pairing.renamed.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.pairing.renamed.v1"
    entity: ClassVar[str] = "pairing_id"

    pairing_id: NonEmpty
    """The pairing."""

    account_id: NonEmpty
    """The account that the pairing belongs to."""

    name: str = ""
    """The new name; empty when it was taken away."""

    version: Positive
    """Version of the pairing's row; a copy takes an event only if its version is newer."""


class PairingTokenReissued(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The agent got a new telemetry token, and the old one is no longer good: sockets that it opened are closed."""

    event_type: ClassVar[str] = "pairing.token_reissued.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.pairing.token_reissued.v1"
    entity: ClassVar[str] = "pairing_id"

    pairing_id: NonEmpty
    """The pairing."""

    account_id: NonEmpty
    """The account that the agent belongs to."""

    agent_id: NonEmpty
    """The agent whose token it is."""

    telemetry_token_sha256: NonEmpty
    """SHA-256 of the new token, 64 hexadecimal digits."""

    version: Positive
    """Version of the pairing's row; a copy takes an event only if its version is newer."""


class PairingDeleted(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A pairing is gone: its tokens are no longer good, and its sockets are closed."""

    event_type: ClassVar[str] = "pairing.deleted.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.pairing.deleted.v1"
    entity: ClassVar[str] = "pairing_id"

    pairing_id: NonEmpty
    """The pairing."""

    account_id: NonEmpty
    """The account that it belonged to."""

    agent_id: str | None = None
    """The agent, when the pairing had been confirmed."""

    reason: NonEmpty
    """Why: `deleted` (by a user), `expired` (the token was never redeemed) or `account_deleted`.

    Others may be added.
    """

    version: Positive
    """Version of the pairing's row; the last one."""
