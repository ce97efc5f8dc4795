# Generated from shoal/events/v1/agent.proto by `python -m generate`; do not edit.
"""Agent: the messages of `shoal/events/v1/agent.proto`."""

from typing import ClassVar

from shoal_events.message import Event
from shoal_events.types import NonEmpty, Positive, Timestamp, UInt32


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

    version: UInt32 = 0
    """Version of the presence; a copy takes an event only if its version is newer.

    0 in events of Shoal before it was told.
    """


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

    version: UInt32 = 0
    """Version of the presence, higher than that of its beginning. 0 in events of Shoal before it was told."""


class AgentRegistered(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An account registered an agent, so that it can be paired with agents of other accounts.

    The events above speak of agents by `agent_id` alone; one that was registered also has an `agent_uuid`, by which
    connections and agent pairings name it.
    """

    event_type: ClassVar[str] = "agent.registered.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.agent.registered.v1"
    entity: ClassVar[str] = "agent_uuid"

    agent_uuid: NonEmpty
    """The registered agent, a UUID."""

    account_id: NonEmpty
    """The account that the agent belongs to, for ever."""

    agent_id: NonEmpty
    """How the account calls the agent, unique among its agents: letters, digits, `.`, `_` and `-`."""

    name: NonEmpty
    """What people call the agent."""

    agent_type: NonEmpty
    """What the agent is made with: `custom`, `langchain`, `crewai`, `autogen`, `mastra` or `n8n`.

    Others may be added.
    """

    available_for_connections: bool = False
    """Whether agents of connected accounts may be proposed a pairing with it."""

    key_version: UInt32 = 0
    """Version of the agent's encryption key; 0 while it has none and is only `pending`."""

    version: Positive
    """Version of the agent's row; a copy takes an event only if its version is newer."""


class AgentUpdated(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What an account says of an agent changed. The event carries all of it as it is now."""

    event_type: ClassVar[str] = "agent.updated.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.agent.updated.v1"
    entity: ClassVar[str] = "agent_uuid"

    agent_uuid: NonEmpty
    """The registered agent, a UUID."""

    account_id: NonEmpty
    """The account that the agent belongs to."""

    agent_id: NonEmpty
    """How the account calls the agent."""

    name: NonEmpty
    """What people call the agent."""

    agent_type: NonEmpty
    """What the agent is made with."""

    available_for_connections: bool = False
    """Whether agents of connected accounts may be proposed a pairing with it."""

    version: Positive
    """Version of the agent's row; a copy takes an event only if its version is newer."""


class AgentConnected(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An agent handed in an encryption key: it can exchange files now, as far as its pairings let it."""

    event_type: ClassVar[str] = "agent.connected.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.agent.connected.v1"
    entity: ClassVar[str] = "agent_uuid"

    agent_uuid: NonEmpty
    """The registered agent, a UUID."""

    account_id: NonEmpty
    """The account that the agent belongs to."""

    agent_id: NonEmpty
    """How the account calls the agent."""

    key_version: Positive
    """Version of its encryption key; grows with each key that it hands in."""

    version: Positive
    """Version of the agent's row; a copy takes an event only if its version is newer."""


class AgentDisconnected(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An agent's encryption keys were forgotten: nothing is exchanged with it until it hands in another.

    Its pairings stay.
    """

    event_type: ClassVar[str] = "agent.disconnected.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.agent.disconnected.v1"
    entity: ClassVar[str] = "agent_uuid"

    agent_uuid: NonEmpty
    """The registered agent, a UUID."""

    account_id: NonEmpty
    """The account that the agent belongs to."""

    agent_id: NonEmpty
    """How the account calls the agent."""

    version: Positive
    """Version of the agent's row; a copy takes an event only if its version is newer."""


class AgentDeleted(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A registered agent is gone, with its keys. Its pairings end with events of their own."""

    event_type: ClassVar[str] = "agent.deleted.v1"
    source: ClassVar[str] = "/shoal/pairing"
    producer: ClassVar[str] = "pairing"
    subject_prefix: ClassVar[str] = "shoal.events.agent.deleted.v1"
    entity: ClassVar[str] = "agent_uuid"

    agent_uuid: NonEmpty
    """The registered agent, a UUID."""

    account_id: NonEmpty
    """The account that the agent belonged to."""

    agent_id: NonEmpty
    """How the account called the agent; the name may be given again."""

    reason: NonEmpty
    """Why: `deleted` (by a user) or `account_deleted`. Others may be added."""

    version: Positive
    """Version of the agent's row; the last one."""
