"""The frames of the telemetry socket, both ways: the public contract, and what Shoal adds to it.

Frames are read into the very Structs that the sample is made of, and put in order while they are read: unknown fields
fall away, aliases get one name, money becomes a decimal string, an error's message is cut to a bounded length. What is
stored and what viewers see is therefore the same, and nothing that an agent did not mean to publish.
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from shoal_events import Sample, SampleError, SampleMetrics, SampleSkill
from shoal_events.types import Positive, Timestamp
from telemetry_ingest.domain.numbers import Number, WireMoney, plain_money

MAX_FRAME_BYTES = 64 * 1024
MAX_ITEMS = 1000
MAX_RESPONSE_TIMES = 1000
MAX_SKILLS = 500
MAX_MESSAGE = 1024
"""Characters that are kept of an error's `message`. It is free text, which may quote what people wrote to the agent."""

AgentId = Annotated[str, Meta(min_length=1, max_length=64)]
Epoch = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
Label = Annotated[str, Meta(max_length=128)]


# What the frames carry. `type: ignore`: the wire is wider than the sample, until __post_init__ has read it.


class MetricsBody(SampleMetrics, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Gauges and counters of an agent; money as a decimal string, times as the fields' names say."""

    messages_1h: Number | None = None
    messages_24h: Number | None = None
    active_sessions: Number | None = None
    avg_response_ms: Number | None = None
    memory_mb: Number | None = None
    cpu_percent: Number | None = None
    uptime_s: Number | None = None
    messages_total: Number | None = None
    errors_total: Number | None = None
    revenue_total: WireMoney | None = None  # type: ignore[assignment]
    tokens_total: Number | None = None
    errors_1h: Number | None = None
    revenue_1h: WireMoney | None = None  # type: ignore[assignment]
    response_ms: Annotated[tuple[Number, ...], Meta(max_length=MAX_RESPONSE_TIMES)] = ()

    def __post_init__(self) -> None:
        if self.revenue_total is not None or self.revenue_1h is not None:
            force_setattr(self, "revenue_total", plain_money(self.revenue_total))
            force_setattr(self, "revenue_1h", plain_money(self.revenue_1h))


class SkillBody(SampleSkill, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Gauges of one skill. `calls` and `revenue` are other names of `calls_1h` and `revenue_1h`."""

    calls_1h: Number | None = None
    revenue_1h: WireMoney | None = None  # type: ignore[assignment]
    avg_latency_ms: Number | None = None
    calls: Number | None = None
    revenue: WireMoney | None = None

    def __post_init__(self) -> None:
        if self.calls is not None:
            force_setattr(self, "calls_1h", self.calls if self.calls_1h is None else self.calls_1h)
            force_setattr(self, "calls", None)
        revenue = self.revenue if self.revenue_1h is None else self.revenue_1h
        force_setattr(self, "revenue_1h", plain_money(revenue))
        force_setattr(self, "revenue", None)


class FailureTold(SampleError, frozen=True, kw_only=True, omit_defaults=True, gc=False):  # noqa: N818 - a frame's part
    """An error that an agent met."""

    error_type: Label = ""
    skill: Label | None = None
    message: str = ""

    def __post_init__(self) -> None:
        if len(self.message) > MAX_MESSAGE:
            force_setattr(self, "message", self.message[: MAX_MESSAGE - 1] + "…")


Skill = Annotated[str, Meta(min_length=1, max_length=128)]


# From agents.


class AgentFrame(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag_field="type"):
    """What all frames about an agent have in common."""

    kind: ClassVar[str]

    agent_id: AgentId
    timestamp: Timestamp
    seq: Positive | None = None

    def to_sample(self, seq: int, received_at: datetime) -> Sample:
        """Give the frame's facts, as they are stored."""
        raise NotImplementedError


class MetricsFrame(AgentFrame, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="metrics"):
    """Gauges and counters of the agent as a whole."""

    kind: ClassVar[str] = "metrics"

    data: MetricsBody

    def to_sample(self, seq: int, received_at: datetime) -> Sample:
        """Give the frame's facts, as they are stored."""
        return Sample(seq=seq, at=self.timestamp, received_at=received_at, metrics=self.data)


class SkillsFrame(AgentFrame, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="skills"):
    """Gauges of its skills, by name."""

    kind: ClassVar[str] = "skills"

    data: Annotated[dict[Skill, SkillBody], Meta(max_length=MAX_SKILLS)]

    def to_sample(self, seq: int, received_at: datetime) -> Sample:
        """Give the frame's facts, as they are stored."""
        return Sample(seq=seq, at=self.timestamp, received_at=received_at, skills=dict(self.data))


class StatusFrame(AgentFrame, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="status"):
    """What the agent says of itself, in one word."""

    kind: ClassVar[str] = "status"

    status: Annotated[str, Meta(min_length=1, max_length=64)]

    def to_sample(self, seq: int, received_at: datetime) -> Sample:
        """Give the frame's facts, as they are stored."""
        return Sample(seq=seq, at=self.timestamp, received_at=received_at, status=self.status)


class ErrorFrame(AgentFrame, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="error"):
    """An error that it met."""

    kind: ClassVar[str] = "error"

    data: FailureTold

    def to_sample(self, seq: int, received_at: datetime) -> Sample:
        """Give the frame's facts, as they are stored."""
        return Sample(seq=seq, at=self.timestamp, received_at=received_at, error=self.data)


AnyAgentFrame = MetricsFrame | SkillsFrame | StatusFrame | ErrorFrame


# From anybody.


class AuthFrame(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="auth"):
    """Who the sender is; the first frame, unless the handshake said it."""

    token: str
    epoch: Epoch | None = None
    client: Label | None = None

    def __repr__(self) -> str:
        return f"AuthFrame(epoch={self.epoch!r}, client={self.client!r})"


class BatchFrame(Struct, frozen=True, gc=False, tag_field="type", tag="batch"):
    """Several frames about agents; each is taken or refused on its own."""

    items: Annotated[list[msgspec.Raw], Meta(max_length=MAX_ITEMS)]


class PingFrame(Struct, frozen=True, gc=False, tag_field="type", tag="ping"):
    """Asks for a pong once everything before it is stored."""


class SubscribeFrame(Struct, frozen=True, gc=False, tag_field="type", tag="subscribe"):
    """Asks to see an agent's frames."""

    agent_id: AgentId


class UnsubscribeFrame(Struct, frozen=True, gc=False, tag_field="type", tag="unsubscribe"):
    """Asks to see them no more."""

    agent_id: AgentId


ClientFrame = AnyAgentFrame | AuthFrame | BatchFrame | PingFrame | SubscribeFrame | UnsubscribeFrame


# To anybody.


class Limits(Struct, frozen=True):
    """What one socket may do: `idle_s` is for how many seconds it may be silent."""

    messages_per_second: int
    max_frame_bytes: int
    idle_s: int


class AuthSuccess(Struct, frozen=True, kw_only=True, tag_field="type", tag="auth_success"):
    """The credential is good: whose the socket is, which agents it may speak for, and what it may do."""

    user_id: str
    agents: list[str]
    account_id: str
    server_time: datetime
    limits: Limits


class AuthError(Struct, frozen=True, tag_field="type", tag="auth_error"):
    """The credential is not good; the socket closes."""

    code: str
    message: str


class Pong(Struct, frozen=True, tag_field="type", tag="pong"):
    """Everything that came before the ping is stored, or was refused."""

    timestamp: datetime


class Ack(Struct, frozen=True, tag_field="type", tag="ack"):
    """Every numbered frame up to here is stored, or was refused."""

    seq: int


class Ref(Struct, frozen=True, omit_defaults=True):
    """Which frame: its number, its place in the batch."""

    seq: int | None = None
    index: int | None = None


class ProtocolError(Struct, frozen=True, omit_defaults=True, tag_field="type", tag="protocol_error"):
    """A frame was refused. Never `type: error`, which is an agent's."""

    code: str
    message: str
    ref: Ref | None = None


ServerFrame = AuthSuccess | AuthError | Pong | Ack | ProtocolError


class Numbered(Struct, frozen=True):
    """As much of a frame that cannot be read as names it."""

    seq: Any = None

    @property
    def ref(self) -> Ref:
        """Give the frame's number, if it has a good one."""
        is_good = type(self.seq) is int and 0 < self.seq < 2**32
        return Ref(seq=self.seq if is_good else None)
