"""Runs over HTTP."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from agent_runtime.ports import Message, Queueing, RunStatus, ToolCallView
from agent_runtime.runs.domain.runs import CallRecord, Run
from agent_runtime.runs.domain.servers import LinkState, McpServer
from shoal.errors import ValidationError

HeaderName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,128}\Z")]
HeaderValue = Annotated[str, Meta(max_length=8192, pattern=r"^[^\r\n\x00]*\Z")]
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


class ToolView(Struct, frozen=True, kw_only=True):
    """A tool; `policy` is what a call means to agents that do not say otherwise."""

    name: str
    description: str
    schema: dict[str, Any]
    policy: str


class PutServer(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PUT /api/mcp-servers/{name}`: `url` and `headers`, or `command`, `args` and `env`."""

    url: Annotated[str, Meta(max_length=2048)] = ""
    headers: dict[HeaderName, HeaderValue] | None = None
    command: Annotated[str, Meta(max_length=1024)] = ""
    args: Annotated[list[Annotated[str, Meta(max_length=4096)]], Meta(max_length=64)] = []
    env: dict[Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}\Z")], HeaderValue] | None = None
    enabled: bool = True

    @property
    def secrets(self) -> dict[str, str] | None:
        """What is not to be shown again; None where it stays as it is."""
        return self.headers if self.url else self.env

    def to_server(self, account_id: str, name: str) -> McpServer:
        """Make the server that this describes.

        Raises:
            ValidationError: It has both an address and a command, or neither.
        """
        if bool(self.url) == bool(self.command):
            raise ValidationError("Give either `url` or `command`.")
        return McpServer(
            account_id=account_id,
            name=name,
            url=self.url,
            command=self.command,
            arguments=tuple(self.args),
            secret_names=tuple(sorted(self.secrets or ())),
            is_enabled=self.enabled,
            version=1,
        )


class ServerView(Struct, frozen=True, kw_only=True):
    """An MCP server; of its headers or variables only the names."""

    name: str
    transport: str
    url: str
    command: str
    args: list[str]
    header_names: list[str]
    env_names: list[str]
    enabled: bool
    status: str
    tool_count: int
    error: str

    @classmethod
    def from_domain(cls, server: McpServer, state: LinkState) -> "ServerView":
        """Show a server."""
        names = list(server.secret_names)
        return cls(
            name=server.name,
            transport="http" if server.url else "stdio",
            url=server.url,
            command=server.command,
            args=list(server.arguments),
            header_names=names if server.url else [],
            env_names=[] if server.url else names,
            enabled=server.is_enabled,
            status=state.status if server.is_enabled else "disabled",
            tool_count=state.tool_count,
            error=state.error,
        )


class Success(Struct, frozen=True):
    """It is done."""

    success: bool = True


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
