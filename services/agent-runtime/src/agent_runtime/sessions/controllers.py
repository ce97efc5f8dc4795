"""HTTP: sessions."""

from typing import Annotated

from litestar import Controller, delete, get, post
from litestar.params import Parameter

from agent_runtime.ports import MessageView
from agent_runtime.sessions.schemas import (
    CreateSession,
    ExportView,
    SessionDetail,
    SessionDone,
    SessionSummary,
)
from agent_runtime.sessions.usecases import MAX_LISTED, SessionLifecycle, Sessions
from shoal.http.auth import require_user
from shoal.identity import Principal


class SessionController(Controller):
    """Sessions of the caller's account, and what was said in them."""

    path = "/api/sessions"
    tags = ("sessions",)
    guards = (require_user,)

    @get("/", operation_id="listSessions", summary="List sessions")
    async def list(
        self,
        principal: Principal,
        sessions: Sessions,
        agent_id: Annotated[str, Parameter(max_length=64)] = "",
        limit: Annotated[int, Parameter(ge=1, le=MAX_LISTED)] = MAX_LISTED,
    ) -> list[SessionSummary]:
        """List the account's sessions, the latest first."""
        found = await sessions.list(principal.account_id, agent_id=agent_id, limit=limit)
        return [SessionSummary.from_domain(session) for session in found]

    @post("/", operation_id="createSession", summary="Begin a session")
    async def create(
        self, data: CreateSession, principal: Principal, session_lifecycle: SessionLifecycle
    ) -> SessionSummary:
        """Begin a session with an agent, or with the account's first one."""
        session = await session_lifecycle.begin(principal.account_id, agent_id=data.agent_id, key=data.key or "")
        return SessionSummary.from_domain(session)

    @get("/{key:str}", operation_id="getSession", summary="Show a session")
    async def show(self, key: str, principal: Principal, sessions: Sessions) -> SessionDetail:
        """Show a session with all of its messages."""
        return SessionDetail.from_transcript(await sessions.show(principal.account_id, key))

    @get("/{key:str}/export", operation_id="exportSession", summary="Give out what was said")
    async def export(self, key: str, principal: Principal, sessions: Sessions) -> ExportView:
        """Give out every message."""
        transcript = await sessions.show(principal.account_id, key)
        return ExportView([MessageView.from_domain(message) for message in transcript.messages])

    @delete("/{key:str}", operation_id="deleteSession", summary="Delete a session", status_code=200)
    async def remove(self, key: str, principal: Principal, session_lifecycle: SessionLifecycle) -> SessionDone:
        """Cancel what runs in a session, and delete it with all that was said."""
        await session_lifecycle.end(principal.account_id, key)
        return SessionDone()
