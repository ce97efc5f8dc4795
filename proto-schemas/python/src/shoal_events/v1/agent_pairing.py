# Generated from shoal/events/v1/agent_pairing.proto by `python -m generate`; do not edit.
"""Agent pairing: the messages of `shoal/events/v1/agent_pairing.proto`."""

from typing import ClassVar

from shoal_events.message import Event
from shoal_events.types import NonEmpty, Positive, Timestamp


class AgentPairingProposed(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An account proposed to pair one of its agents with one of a connected account. Nothing may be sent yet."""

    event_type: ClassVar[str] = "agent_pairing.proposed.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.agent_pairing.proposed.v1"
    entity: ClassVar[str] = "agent_pairing_id"

    agent_pairing_id: NonEmpty
    """The agent pairing, a UUID."""

    connection_id: NonEmpty
    """The connection that it stands under, a UUID."""

    proposer_account_id: NonEmpty
    """The account that proposed it."""

    proposer_agent_uuid: NonEmpty
    """The proposer's agent, its `agent_uuid`."""

    target_account_id: NonEmpty
    """The other account."""

    target_agent_uuid: NonEmpty
    """The other account's agent, its `agent_uuid`."""

    permission: NonEmpty
    """Who may send, from the proposer's side: `both`, `send_only` (only the proposer's agent) or `receive_only` (only
    the other one).
    """

    awaiting_account_id: NonEmpty
    """The account that has to agree before it takes effect."""

    version: Positive
    """Version of the agent pairing's row; a copy takes an event only if its version is newer."""


class AgentPairingConfirmed(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The account that was asked agreed: its permission is in force."""

    event_type: ClassVar[str] = "agent_pairing.confirmed.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.agent_pairing.confirmed.v1"
    entity: ClassVar[str] = "agent_pairing_id"

    agent_pairing_id: NonEmpty
    """The agent pairing, a UUID."""

    connection_id: NonEmpty
    """The connection that it stands under, a UUID."""

    proposer_account_id: NonEmpty
    """The account that proposed it."""

    proposer_agent_uuid: NonEmpty
    """The proposer's agent, its `agent_uuid`."""

    target_account_id: NonEmpty
    """The other account."""

    target_agent_uuid: NonEmpty
    """The other account's agent, its `agent_uuid`."""

    permission: NonEmpty
    """Who may send, from the proposer's side: `both`, `send_only` (only the proposer's agent) or `receive_only` (only
    the other one).
    """

    confirmed_at: Timestamp
    """When it agreed."""

    version: Positive
    """Version of the agent pairing's row; a copy takes an event only if its version is newer."""


class AgentPairingPermissionChanged(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One side wants another permission. Nothing may be sent, either way, until the other side agrees."""

    event_type: ClassVar[str] = "agent_pairing.permission_changed.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.agent_pairing.permission_changed.v1"
    entity: ClassVar[str] = "agent_pairing_id"

    agent_pairing_id: NonEmpty
    """The agent pairing, a UUID."""

    connection_id: NonEmpty
    """The connection that it stands under, a UUID."""

    proposer_account_id: NonEmpty
    """The account that proposed it."""

    proposer_agent_uuid: NonEmpty
    """The proposer's agent, its `agent_uuid`."""

    target_account_id: NonEmpty
    """The other account."""

    target_agent_uuid: NonEmpty
    """The other account's agent, its `agent_uuid`."""

    permission: NonEmpty
    """Who may send, from the proposer's side: `both`, `send_only` (only the proposer's agent) or `receive_only` (only
    the other one).
    """

    awaiting_account_id: NonEmpty
    """The account that has to agree before it takes effect."""

    version: Positive
    """Version of the agent pairing's row; a copy takes an event only if its version is newer."""


class AgentPairingRevoked(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An agent pairing ended for good; another may be proposed."""

    event_type: ClassVar[str] = "agent_pairing.revoked.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.agent_pairing.revoked.v1"
    entity: ClassVar[str] = "agent_pairing_id"

    agent_pairing_id: NonEmpty
    """The agent pairing, a UUID."""

    connection_id: NonEmpty
    """The connection that it stands under, a UUID."""

    proposer_account_id: NonEmpty
    """The account that proposed it."""

    proposer_agent_uuid: NonEmpty
    """The proposer's agent, its `agent_uuid`."""

    target_account_id: NonEmpty
    """The other account."""

    target_agent_uuid: NonEmpty
    """The other account's agent, its `agent_uuid`."""

    reason: NonEmpty
    """Why: `deleted` (by a user), `rejected` (by the account that was asked), `connection_revoked`, `blocked`,
    `agent_deleted` or `account_deleted`. Others may be added.
    """

    version: Positive
    """Version of the agent pairing's row; the last one."""
