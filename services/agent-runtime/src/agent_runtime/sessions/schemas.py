"""Sessions over HTTP."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from agent_runtime.ports import MessageView
from agent_runtime.sessions.domain import KEY_PATTERN, Session, Transcript


class CreateSession(Struct, frozen=True):
    """Body of `POST /api/sessions`; without `key` one is made up."""

    agent_id: Annotated[str, Meta(max_length=64)] = ""
    key: Annotated[str, Meta(pattern=KEY_PATTERN)] | None = None


class SessionSummary(Struct, frozen=True, kw_only=True):
    """An item of `GET /api/sessions`."""

    key: str
    agent_id: str
    message_count: int
    updated_at: datetime
    created_at: datetime

    @classmethod
    def from_domain(cls, session: Session) -> "SessionSummary":
        """Show a session."""
        return cls(
            key=session.key,
            agent_id=session.agent_id,
            message_count=session.message_count,
            updated_at=session.updated_at,
            created_at=session.created_at,
        )


class SessionDetail(SessionSummary, frozen=True, kw_only=True):
    """A session with all of its messages."""

    messages: list[MessageView]

    @classmethod
    def from_transcript(cls, transcript: Transcript) -> "SessionDetail":
        """Show a session and what was said."""
        session = transcript.session
        return cls(
            key=session.key,
            agent_id=session.agent_id,
            message_count=session.message_count,
            updated_at=session.updated_at,
            created_at=session.created_at,
            messages=[MessageView.from_domain(message) for message in transcript.messages],
        )


class ExportView(Struct, frozen=True):
    """Answer of `GET /api/sessions/{key}/export`: every message, oldest first."""

    messages: list[MessageView]


class SessionDone(Struct, frozen=True):
    """Answer of `DELETE /api/sessions/{key}`."""

    ok: bool = True
