# Generated from shoal/events/v1/agent.proto by `python -m generate`; do not edit.
"""Agent: the messages of `shoal/events/v1/agent.proto`."""

from typing import ClassVar

from shoal_events.message import Event
from shoal_events.types import NonEmpty, Timestamp


class AgentOnline(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An agent's first telemetry socket opened: it can be heard now."""

    event_type: ClassVar[str] = "agent.online.v1"
    source: ClassVar[str] = "/shoal/telemetry-ingest"
    producer: ClassVar[str] = "telemetry-ingest"
    subject_prefix: ClassVar[str] = "shoal.events.agent.online.v1"
    entity: ClassVar[str] = "agent_id"

    agent_id: NonEmpty
    """The agent."""

    account_id: NonEmpty
    """The account that the agent belongs to."""

    pairing_id: str | None = None
    """The pairing whose token opened the socket; absent when a user's credential did."""

    epoch: NonEmpty
    """The presence that began; its end carries the same value."""

    at: Timestamp
    """When it began."""


class AgentOffline(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An agent's presence ended. It says nothing of presences with another epoch."""

    event_type: ClassVar[str] = "agent.offline.v1"
    source: ClassVar[str] = "/shoal/telemetry-ingest"
    producer: ClassVar[str] = "telemetry-ingest"
    subject_prefix: ClassVar[str] = "shoal.events.agent.offline.v1"
    entity: ClassVar[str] = "agent_id"

    agent_id: NonEmpty
    """The agent."""

    account_id: NonEmpty
    """The account that the agent belongs to."""

    pairing_id: str | None = None
    """The pairing whose token had opened the socket; absent when a user's credential had."""

    epoch: NonEmpty
    """The presence that ended."""

    at: Timestamp
    """When it ended."""

    reason: NonEmpty
    """How: `closed` (the agent closed its socket), `lost` (nothing was heard for too long), `revoked` (its credential
    ended) or `process_lost` (the process that held the socket died). Others may be added.
    """
