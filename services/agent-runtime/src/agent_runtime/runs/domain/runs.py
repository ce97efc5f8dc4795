"""What a run is, and what is told of it."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

from agent_runtime.ports import RunStatus, ToolCall

NOTHING_SAID = "(It was done, and said nothing.)"
NO_RESULT = "(The turn ended before this call did; whether it took effect is unknown.)"
DENIED = "A person denied this call."


class Run(Struct, frozen=True, kw_only=True):
    """The answering of one message."""

    id: str
    account_id: str
    session_id: str
    session_key: str
    agent_id: str
    parent_id: str | None
    status: RunStatus
    content: str
    model: str
    origin: str
    requested_by: str
    credential_id: str
    instructions: str
    tools: tuple[str, ...] | None
    traceparent: str | None
    worker: str | None
    epoch: int | None
    error_code: str
    error: str
    last_seq: int
    version: int
    complexity: float
    tier: int
    spent_ms: float
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class NewRun(Struct, frozen=True, kw_only=True):
    """A run that is to be written."""

    id: str
    account_id: str
    session_id: str
    session_key: str
    agent_id: str
    parent_id: str | None
    content: str
    model: str
    origin: str
    requested_by: str
    credential_id: str
    instructions: str
    tools: list[str] | None
    idempotency_key: str | None
    request_sha256: bytes
    traceparent: str | None


class Repeated(Struct, frozen=True):
    """A run that the same request started before."""

    id: str
    request_sha256: bytes


class Started(Struct, frozen=True):
    """A run that answers a message; `is_here`: this process does it already."""

    run_id: str
    is_here: bool


class EventType(StrEnum):
    """What happens in a run, as its stream names it."""

    QUEUED = "queued"
    STARTED = "started"
    TEXT = "text"
    TOOL_CALL = "tool_call"
    APPROVAL_REQUESTED = "approval_requested"
    APPROVAL_DECIDED = "approval_decided"
    RESUMED = "resumed"
    TOOL_RESULT = "tool_result"
    USAGE = "usage"
    RETRY = "retry"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def is_last(self) -> bool:
        """Whether nothing comes after it."""
        return self in {EventType.COMPLETED, EventType.FAILED, EventType.CANCELLED, EventType.INTERRUPTED}

    @property
    def is_lasting(self) -> bool:
        """Whether it is true whatever becomes of the transaction that stores it; others become true by that."""
        return self in {EventType.TEXT, EventType.RETRY}


class RunEvent(Struct, frozen=True):
    """Something that happened in a run."""

    seq: int
    type: str
    data: Mapping[str, Any]


class Token(Struct, frozen=True):
    """Some text of the answer, live: not stored yet, told again by a later event. `offset` counts characters."""

    offset: int
    text: str


class CallStatus(StrEnum):
    """Where a tool call stands."""

    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    DENIED = "denied"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def is_over(self) -> bool:
        """Whether the call has its result."""
        return self not in {CallStatus.PENDING_APPROVAL, CallStatus.APPROVED, CallStatus.RUNNING}


class CallRecord(Struct, frozen=True, kw_only=True):
    """A tool call and what became of it."""

    id: str
    step: int
    place: int
    name: str
    arguments: str
    status: CallStatus
    result: str | None = None
    is_error: bool = False
    decided_by: str = ""
    expires_at: datetime | None = None

    def to_tool_call(self) -> ToolCall:
        """Tell it as messages do."""
        return ToolCall(
            id=self.id, name=self.name, arguments=self.arguments, result=self.result, is_error=self.is_error
        )


class StepRecord(Struct, frozen=True, kw_only=True):
    """What a model said at one step."""

    number: int
    text: str
    model: str
    input_tokens: int
    output_tokens: int
