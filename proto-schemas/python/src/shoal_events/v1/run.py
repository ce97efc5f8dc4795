# Generated from shoal/events/v1/run.proto by `python -m generate`; do not edit.
"""Run: the messages of `shoal/events/v1/run.proto`."""

from typing import ClassVar

from shoal_events.message import Event
from shoal_events.types import NonEmpty, Positive, UInt32


class RunStarted(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An agent began to answer a message."""

    event_type: ClassVar[str] = "run.started.v1"
    source: ClassVar[str] = "/shoal/agent-runtime"
    producer: ClassVar[str] = "agent-runtime"
    subject_prefix: ClassVar[str] = "shoal.events.run.started.v1"
    entity: ClassVar[str] = "run_id"

    run_id: NonEmpty
    """The run."""

    account_id: NonEmpty
    """The account that it belongs to."""

    agent_id: NonEmpty
    """The agent that answers."""

    session_key: NonEmpty
    """The session that it answers in."""

    version: Positive
    """Version of the run's row; a copy takes an event only if its version is newer."""

    model: str = ""
    """The model that answers, as `provider/model`."""


class RunApprovalRequested(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A run waits until people have decided whether its tools may be called."""

    event_type: ClassVar[str] = "run.approval_requested.v1"
    source: ClassVar[str] = "/shoal/agent-runtime"
    producer: ClassVar[str] = "agent-runtime"
    subject_prefix: ClassVar[str] = "shoal.events.run.approval_requested.v1"
    entity: ClassVar[str] = "run_id"

    run_id: NonEmpty
    """The run."""

    account_id: NonEmpty
    """The account that it belongs to."""

    agent_id: NonEmpty
    """The agent that answers."""

    session_key: NonEmpty
    """The session that it answers in."""

    version: Positive
    """Version of the run's row; a copy takes an event only if its version is newer."""

    tools: tuple[str, ...] = ()
    """The tools that wait, by name."""


class RunCompleted(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An agent answered."""

    event_type: ClassVar[str] = "run.completed.v1"
    source: ClassVar[str] = "/shoal/agent-runtime"
    producer: ClassVar[str] = "agent-runtime"
    subject_prefix: ClassVar[str] = "shoal.events.run.completed.v1"
    entity: ClassVar[str] = "run_id"

    run_id: NonEmpty
    """The run."""

    account_id: NonEmpty
    """The account that it belongs to."""

    agent_id: NonEmpty
    """The agent that answers."""

    session_key: NonEmpty
    """The session that it answers in."""

    version: Positive
    """Version of the run's row; a copy takes an event only if its version is newer."""

    model: str = ""
    """The model that answered, as `provider/model`."""

    input_tokens: UInt32 = 0
    """Tokens that were read."""

    output_tokens: UInt32 = 0
    """Tokens that were written."""

    duration_ms: float = 0.0
    """How long it took, in milliseconds, without the time that it waited for approval."""


class RunFailed(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A run ended without an answer."""

    event_type: ClassVar[str] = "run.failed.v1"
    source: ClassVar[str] = "/shoal/agent-runtime"
    producer: ClassVar[str] = "agent-runtime"
    subject_prefix: ClassVar[str] = "shoal.events.run.failed.v1"
    entity: ClassVar[str] = "run_id"

    run_id: NonEmpty
    """The run."""

    account_id: NonEmpty
    """The account that it belongs to."""

    agent_id: NonEmpty
    """The agent that answers."""

    session_key: NonEmpty
    """The session that it answers in."""

    version: Positive
    """Version of the run's row; a copy takes an event only if its version is newer."""

    code: NonEmpty
    """What kind of failure, such as `model_unavailable`."""


class RunCancelled(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Somebody ended a run before it was over."""

    event_type: ClassVar[str] = "run.cancelled.v1"
    source: ClassVar[str] = "/shoal/agent-runtime"
    producer: ClassVar[str] = "agent-runtime"
    subject_prefix: ClassVar[str] = "shoal.events.run.cancelled.v1"
    entity: ClassVar[str] = "run_id"

    run_id: NonEmpty
    """The run."""

    account_id: NonEmpty
    """The account that it belongs to."""

    agent_id: NonEmpty
    """The agent that answers."""

    session_key: NonEmpty
    """The session that it answers in."""

    version: Positive
    """Version of the run's row; a copy takes an event only if its version is newer."""


class RunInterrupted(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A run ended because its process did; what it had done until then stands."""

    event_type: ClassVar[str] = "run.interrupted.v1"
    source: ClassVar[str] = "/shoal/agent-runtime"
    producer: ClassVar[str] = "agent-runtime"
    subject_prefix: ClassVar[str] = "shoal.events.run.interrupted.v1"
    entity: ClassVar[str] = "run_id"

    run_id: NonEmpty
    """The run."""

    account_id: NonEmpty
    """The account that it belongs to."""

    agent_id: NonEmpty
    """The agent that answers."""

    session_key: NonEmpty
    """The session that it answers in."""

    version: Positive
    """Version of the run's row; a copy takes an event only if its version is newer."""
