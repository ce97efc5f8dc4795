# Generated from shoal/events/v1/telemetry.proto by `python -m generate`; do not edit.
"""Telemetry: the messages of `shoal/events/v1/telemetry.proto`."""

from typing import ClassVar

from shoal_events.message import Message, Part
from shoal_events.types import NonEmpty, Positive, Timestamp


class SampleMetrics(Part, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Gauges and counters of an agent. All numbers are finite; a field that the agent did not send is absent."""

    messages_1h: float | None = None
    """Messages handled in the hour before, a rolling gauge."""

    messages_24h: float | None = None
    """Messages handled in the day before, a rolling gauge."""

    active_sessions: float | None = None
    """Sessions open now."""

    avg_response_ms: float | None = None
    """Mean response time in milliseconds, over a window that the agent chose."""

    memory_mb: float | None = None
    """Memory in use, in megabytes."""

    cpu_percent: float | None = None
    """Processor in use, in percent; more than 100 when several cores are."""

    uptime_s: float | None = None
    """Seconds since the agent started."""

    messages_total: float | None = None
    """Messages handled since the agent started, a counter."""

    errors_total: float | None = None
    """Errors met since the agent started, a counter."""

    revenue_total: str | None = None
    """Money earned since the agent started, a counter; a decimal string."""

    errors_1h: float | None = None
    """Errors met in the hour before, a rolling gauge."""

    revenue_1h: str | None = None
    """Money earned in the hour before, a rolling gauge; a decimal string."""

    response_ms: tuple[float, ...] = ()
    """Response times in milliseconds, one for each message since the frame before."""

    tokens_total: float | None = None
    """Tokens that models took, read and written, since the agent started, a counter."""


class SampleSkill(Part, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Gauges of one skill."""

    calls_1h: float | None = None
    """Calls in the hour before, a rolling gauge."""

    revenue_1h: str | None = None
    """Money earned in the hour before, a rolling gauge; a decimal string."""

    avg_latency_ms: float | None = None
    """Mean response time in milliseconds, over a window that the agent chose."""


class SampleError(Part, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An error that an agent met."""

    error_type: str = ""
    """What kind of error, in the agent's words, such as `skill_failure`."""

    skill: str | None = None
    """The skill that failed, if one did."""

    message: str = ""
    """What happened, for people."""


class Sample(Part, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What one telemetry frame told. One of metrics, skills, status and error is present."""

    seq: Positive
    """The sample's number within its epoch, from 1."""

    at: Timestamp
    """When the agent took it, by the agent's clock."""

    received_at: Timestamp | None = None
    """When it arrived; absent when that is not worth telling apart from `at`."""

    metrics: SampleMetrics | None = None
    """Gauges and counters of the agent as a whole."""

    skills: dict[str, SampleSkill] = {}
    """Gauges of each skill, by the skill's name."""

    status: str | None = None
    """What the agent says of itself, such as `online`."""

    error: SampleError | None = None
    """An error that the agent met."""


class SampleGroup(Part, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Samples of one agent in one epoch, in the order of their arrival."""

    account_id: NonEmpty
    """The account that the agent belongs to."""

    agent_id: NonEmpty
    """The agent."""

    epoch: NonEmpty
    """One life of a source of samples; within it a seq means one sample."""

    samples: tuple[Sample, ...] = ()
    """The samples."""


class TelemetryBatch(Message, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Samples of many agents, packed by one ingest process.

    Its `Nats-Msg-Id` is the batch id. A sample is known by agent, epoch and seq: one that comes again, in whatever
    batch, is the same sample.
    """

    stream: ClassVar[str] = "TELEMETRY"
    producer: ClassVar[str] = "telemetry-ingest"
    subject_prefix: ClassVar[str] = "shoal.telemetry.batch"
    entity: ClassVar[str] = "process"

    batch_id: NonEmpty
    """The batch."""

    process: NonEmpty
    """The ingest process that packed it."""

    groups: tuple[SampleGroup, ...] = ()
    """The samples, by the source that they came from."""
