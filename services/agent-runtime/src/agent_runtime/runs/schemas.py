"""Runs over HTTP."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from agent_runtime.ports import Message, Queueing, RunStatus, ToolCallView
from agent_runtime.runs.domain.runs import CallRecord, Run

Content = Annotated[str, Meta(min_length=1, max_length=256 * 1024)]


class SendMessage(Struct, frozen=True):
    """Body of `POST /api/sessions/{key}/messages` and `…/runs`; `policy` says what to do when the session is busy."""

    content: Content
    policy: Queueing = Queueing.ENQUEUE


class DecideCalls(Struct, frozen=True):
    """Body of `POST /api/runs/{id}/approve` and `…/deny`; without ids all calls that wait."""

    tool_call_ids: Annotated[list[str], Meta(max_length=100)] | None = None


class RunCallView(ToolCallView, frozen=True, kw_only=True, omit_defaults=True):
    """A tool call of a run, and where it stands."""

    status: str = ""
    expires_at: datetime | None = None

    @classmethod
    def from_record(cls, call: CallRecord) -> "RunCallView":
        """Show a tool call of a run."""
        return cls(
            id=call.id,
            name=call.name,
            arguments=call.arguments,
            status=call.status,
            result=call.result,
            is_error=call.is_error,
            expires_at=None if call.status.is_over else call.expires_at,
        )


class AnswerView(Struct, frozen=True, kw_only=True):
    """What an agent said; while it has not, `content` is empty and `status` tells why."""

    role: str
    content: str
    timestamp: datetime
    tool_calls: Sequence[ToolCallView]
    run_id: str
    status: str

    @classmethod
    def from_answer(cls, message: Message) -> "AnswerView":
        """Show what the agent said."""
        return cls(
            role=message.role,
            content=message.content,
            timestamp=message.timestamp,
            tool_calls=[ToolCallView.from_domain(call) for call in message.tool_calls],
            run_id=message.run_id,
            status=RunStatus.COMPLETED,
        )

    @classmethod
    def from_unfinished(cls, run: Run, calls: Sequence[CallRecord]) -> "AnswerView":
        """Show that the agent has not said it yet."""
        return cls(
            role="assistant",
            content="",
            timestamp=run.started_at or run.created_at,
            tool_calls=[RunCallView.from_record(call) for call in calls],
            run_id=run.id,
            status=run.status,
        )


class RunErrorView(Struct, frozen=True):
    """Why a run failed."""

    code: str
    message: str


class RunSummary(Struct, frozen=True, kw_only=True):
    """A run."""

    id: str
    session_key: str
    status: RunStatus
    created_at: datetime
    agent_id: str
    content: str
    origin: str
    model: str
    started_at: datetime | None
    ended_at: datetime | None
    error: RunErrorView | None
    last_event_id: int

    @classmethod
    def from_domain(cls, run: Run) -> "RunSummary":
        """Show a run."""
        return cls(**_summary(run))


class RunDetail(RunSummary, frozen=True, kw_only=True):
    """A run with the calls of its tools."""

    tool_calls: list[RunCallView]

    @classmethod
    def from_course(cls, run: Run, calls: Sequence[CallRecord]) -> "RunDetail":
        """Show a run and the calls of its tools."""
        return cls(**_summary(run), tool_calls=[RunCallView.from_record(call) for call in calls])


class ApprovalView(RunCallView, frozen=True, kw_only=True):
    """A tool call that waits for people, and where."""

    run_id: str
    session_key: str
    agent_id: str


def _summary(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "session_key": run.session_key,
        "status": run.status,
        "created_at": run.created_at,
        "agent_id": run.agent_id,
        "content": run.content,
        "origin": run.origin,
        "model": run.model,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "error": RunErrorView(run.error_code, run.error) if run.error_code else None,
        "last_event_id": run.last_seq,
    }
