"""What was said."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from msgspec import Struct

from shoal.database import Transaction

VOICE_SESSION: Final = "voice"
"""The session that browsers speak in; nobody has to open it first."""


class ToolCall(Struct, frozen=True, kw_only=True):
    """A tool call as it is told: `arguments` is JSON text, `result` is there once it ended."""

    id: str
    name: str
    arguments: str
    result: str | None = None
    is_error: bool = False


class Step(Struct, frozen=True):
    """What a model said before it called these tools, by id; the last step calls none."""

    text: str
    calls: tuple[str, ...] = ()


class Message(Struct, frozen=True, kw_only=True):
    """One message of a session.

    Args:
        id: Its own.
        role: user, assistant, system or tool.
        content: What was said, as text.
        timestamp: When it was committed.
        run_id: The run that it began or ended; empty where none did.
        tool_calls: Every tool call of the turn.
        steps: How text and tool calls of the turn followed each other.
        is_incomplete: Whether the turn ended before the agent did.
    """

    id: str
    role: str
    content: str
    timestamp: datetime
    run_id: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    steps: tuple[Step, ...] = ()
    is_incomplete: bool = False


class ToolCallView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tool call as it is told over HTTP, in frames and in the events of runs; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str
    result: str | None = None
    is_error: bool = False

    @classmethod
    def from_domain(cls, call: ToolCall) -> "ToolCallView":
        """Tell a tool call of a message."""
        return cls(id=call.id, name=call.name, arguments=call.arguments, result=call.result, is_error=call.is_error)


class MessageView(Struct, frozen=True, kw_only=True):
    """A message as it is told over HTTP, in frames and in the events of runs.

    `incomplete` says that the turn ended before the agent did. How text and tool calls followed each other is for
    models alone.
    """

    role: str
    content: str
    timestamp: datetime
    tool_calls: tuple[ToolCallView, ...]
    id: str
    run_id: str
    incomplete: bool

    @classmethod
    def from_domain(cls, message: Message) -> "MessageView":
        """Tell a message."""
        return cls(
            role=message.role,
            content=message.content,
            timestamp=message.timestamp,
            tool_calls=tuple(ToolCallView.from_domain(call) for call in message.tool_calls),
            id=message.id,
            run_id=message.run_id,
            incomplete=message.is_incomplete,
        )


class SessionPlace(Struct, frozen=True):
    """A session inside a transaction that holds its row."""

    id: str
    account_id: str
    key: str
    agent_id: str


class Sessions(Protocol):
    """Finds sessions, and keeps what is said in them."""

    async def agent_of(self, account_id: str, session_key: str) -> str:
        """Tell whose session it is.

        Raises:
            SessionNotFoundError: There is no such session.
        """
        ...

    async def recent(self, account_id: str, session_key: str, limit: int) -> Sequence[Message]:
        """List the last messages, oldest first.

        Raises:
            SessionNotFoundError: There is no such session.
        """
        ...

    async def count(self, account_id: str, agent_id: str) -> int:
        """Count the sessions that an agent has."""
        ...

    async def find(self, tx: Transaction, account_id: str, session_key: str) -> SessionPlace:
        """Find a session, and hold nothing.

        Raises:
            SessionNotFoundError: There is no such session.
        """
        ...

    # inside the transactions of turns

    async def enter(self, tx: Transaction, account_id: str, session_key: str) -> SessionPlace:
        """Find a session and hold its row until the commit.

        Raises:
            SessionNotFoundError: There is no such session.
        """
        ...

    async def make(self, tx: Transaction, account_id: str, session_key: str, agent_id: str) -> SessionPlace:
        """Make a session, or find it when another has just made it, and hold its row until the commit."""
        ...

    async def say(self, tx: Transaction, session_id: str, message: Message, *, earlier: int = 0) -> Sequence[Message]:
        """Append a message; one of the same run and role that stands already is not said twice.

        Returns up to so many earlier messages, oldest first.
        """
        ...

    async def said(self, tx: Transaction, session_id: str, limit: int) -> Sequence[Message]:
        """List a session's last messages, oldest first."""
        ...

    async def answer(self, tx: Transaction, run_id: str) -> Message | None:
        """Find what the agent said at the end of a run."""
        ...
