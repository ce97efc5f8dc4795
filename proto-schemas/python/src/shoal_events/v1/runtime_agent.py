# Generated from shoal/events/v1/runtime_agent.proto by `python -m generate`; do not edit.
"""Runtime agent: the messages of `shoal/events/v1/runtime_agent.proto`."""

from typing import ClassVar

from shoal_events.message import Event
from shoal_events.types import NonEmpty, Positive


class RuntimeAgentCreated(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An agent came into being that runs here, inside the runtime."""

    event_type: ClassVar[str] = "runtime_agent.created.v1"
    source: ClassVar[str] = "/shoal/agent-runtime"
    producer: ClassVar[str] = "agent-runtime"
    subject_prefix: ClassVar[str] = "shoal.events.runtime_agent.created.v1"
    entity: ClassVar[str] = "agent_id"

    agent_id: NonEmpty
    """The agent; unique within its account."""

    account_id: NonEmpty
    """The account that it belongs to."""

    name: NonEmpty
    """What people call it."""

    status: NonEmpty
    """`running`, `stopped` or `error`."""

    model: NonEmpty
    """The model that it thinks with, as `provider/model`."""

    version: Positive
    """Version of the agent's row; a copy takes an event only if its version is newer."""


class RuntimeAgentUpdated(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """People changed an agent of the runtime, or started or stopped it."""

    event_type: ClassVar[str] = "runtime_agent.updated.v1"
    source: ClassVar[str] = "/shoal/agent-runtime"
    producer: ClassVar[str] = "agent-runtime"
    subject_prefix: ClassVar[str] = "shoal.events.runtime_agent.updated.v1"
    entity: ClassVar[str] = "agent_id"

    agent_id: NonEmpty
    """The agent; unique within its account."""

    account_id: NonEmpty
    """The account that it belongs to."""

    name: NonEmpty
    """What people call it now."""

    status: NonEmpty
    """`running`, `stopped` or `error`."""

    model: NonEmpty
    """The model that it thinks with, as `provider/model`."""

    version: Positive
    """Version of the agent's row; a copy takes an event only if its version is newer."""


class RuntimeAgentDeleted(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An agent of the runtime is no more. What was said with it can still be read."""

    event_type: ClassVar[str] = "runtime_agent.deleted.v1"
    source: ClassVar[str] = "/shoal/agent-runtime"
    producer: ClassVar[str] = "agent-runtime"
    subject_prefix: ClassVar[str] = "shoal.events.runtime_agent.deleted.v1"
    entity: ClassVar[str] = "agent_id"

    agent_id: NonEmpty
    """The agent; its id is not used again."""

    account_id: NonEmpty
    """The account that it belonged to."""

    version: Positive
    """Version of the agent's row; the last one."""
