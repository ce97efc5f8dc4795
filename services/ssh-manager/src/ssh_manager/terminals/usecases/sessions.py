"""Every terminal: who may open, see and close which, and when one has been there for too long."""

import asyncio
from datetime import timedelta

import asyncssh
import structlog

from shoal.clock import Clock
from shoal.errors import AppError, UnavailableError
from shoal.identity import Principal
from shoal.ids import new_id
from shoal.tasks import end
from ssh_manager.errors import AuditUnavailableError
from ssh_manager.ports import Access, Actor, AllowedAddresses, Audit, AuditType, Instance, Links
from ssh_manager.terminals.clients import RemoteShell
from ssh_manager.terminals.domain import (
    CLOSED,
    IDLE,
    LOST,
    MOST_SESSIONS,
    REVOKED,
    STOPPING,
    TOO_OLD,
    Close,
    Shell,
    Size,
    State,
    Summary,
)
from ssh_manager.terminals.errors import (
    SessionClosedError,
    SessionForbiddenError,
    SessionNotFoundError,
    ShellFailedError,
    TooManySessionsError,
)
from ssh_manager.terminals.usecases.session import Session

REMEMBERED = 200
"""Closed terminals that lists still show."""


class Sessions:
    """Open, find, list and close terminals; they live in this process, as the connections do that they go through."""

    def __init__(
        self,
        *,
        access: Access,
        allowed: AllowedAddresses,
        links: Links,
        audit: Audit,
        clock: Clock,
        idle: timedelta,
        most_age: timedelta,
    ) -> None:
        self._access = access
        self._allowed = allowed
        self._links = links
        self._audit = audit
        self._clock = clock
        self._idle_s = idle.total_seconds()
        self._most_age_s = most_age.total_seconds()
        self._sessions: dict[str, Session] = {}
        self._following: dict[str, asyncio.Task[None]] = {}
        links.on_lost(self._close_lost)

    async def open(self, instance_id: str, *, shell: str, size: Size, by: Principal) -> Session:
        """Open a terminal.

        Raises:
            InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError: As for `Access`.
            AddressRestrictedError: The instance may not be reached from there.
            UnknownShellError: There is no such shell.
            NotConnectedError: There is no way to the instance now.
            TooManySessionsError: It has as many as it can have.
            AuditUnavailableError: It cannot be written down.
            ShellFailedError: The instance does not open one.
        """
        wanted = Shell.named(shell)
        instance = await self._instance(instance_id, by)
        connection = self._links.connection(instance.id)
        if len(self._of(instance.id)) >= MOST_SESSIONS:
            raise TooManySessionsError(retry_after_s=5)
        session = Session(new_id("term"), instance, by, wanted, now=self._clock.now, monotonic=self._clock.monotonic)
        self._sessions[session.id] = session
        try:
            remote = await self._start(session, connection, size)
        except BaseException:
            del self._sessions[session.id]
            raise
        self._following[session.id] = asyncio.ensure_future(self._follow(session, remote))
        return session

    async def find(self, instance_id: str, session_id: str, *, by: Principal) -> Session:
        """Find a terminal of the caller's own.

        Raises:
            InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError: As for `Access`.
            AddressRestrictedError: The instance may not be reached from there.
            SessionNotFoundError: The instance has none of this id.
            SessionForbiddenError: It is somebody else's.
            SessionClosedError: It has ended.
        """
        instance = await self._instance(instance_id, by)
        session = self._known(instance, session_id)
        if session.owner.user_id != by.user_id:
            raise SessionForbiddenError
        if session.reason is not None:
            raise SessionClosedError
        return session

    async def list_for(self, instance_id: str, *, is_active: bool, by: Principal) -> list[Summary]:
        """List the caller's terminals of an instance, all of them for admins; the newest last.

        Raises:
            InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError: As for `Access`.
        """
        instance = await self._access.instance(by, instance_id)
        found = [one for one in self._sessions.values() if one.instance.id == instance.id]
        mine = [one.summary for one in found if by.is_admin or one.owner.user_id == by.user_id]
        return [one for one in mine if not is_active or one.state is not State.CLOSED]

    async def close(self, instance_id: str, session_id: str, *, by: Principal) -> None:
        """Close a terminal: one's own, or as an admin.

        Raises:
            InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError: As for `Access`.
            SessionNotFoundError: The instance has none of this id.
            SessionForbiddenError: It is somebody else's.
        """
        instance = await self._access.instance(by, instance_id)
        session = self._known(instance, session_id)
        if session.owner.user_id != by.user_id and not by.is_admin:
            raise SessionForbiddenError
        await self._end(session, CLOSED)

    async def look(self) -> None:
        """Close what nobody uses, what is too old, and what its user may not use any more."""
        now = self._clock.monotonic()
        for session in [one for one in self._sessions.values() if one.reason is None]:
            if now - session.used > self._idle_s:
                session.close(IDLE)
            elif now - session.began > self._most_age_s:
                session.close(TOO_OLD)
            elif not await self._may_go_on(session):
                session.close(REVOKED)
        self._forget_old()

    async def close_of_user(self, user_id: str) -> None:
        """Close a user's terminals."""
        for session in list(self._sessions.values()):
            if session.owner.user_id == user_id:
                session.close(REVOKED)

    async def close_all(self) -> None:
        """Close everything, and write down that it was."""
        for session in self._sessions.values():
            session.close(STOPPING)
        if self._following:
            await asyncio.wait(self._following.values(), timeout=2)
            await end(self._following.values())

    async def _instance(self, instance_id: str, by: Principal) -> Instance:
        instance = await self._access.instance(by, instance_id)
        await self._allowed.check(by, instance)
        return instance

    async def _start(self, session: Session, connection: asyncssh.SSHClientConnection, size: Size) -> RemoteShell:
        """Start the shell, between two entries of the audit log."""
        kind, by = AuditType.TERMINAL_SESSION_START, Actor.of(session.owner)
        what = f"Terminal {session.id} ({session.shell.word} shell)"
        intent = await self._audit.intent(kind, session.instance, by=by, details=f"{what} was asked for")
        try:
            remote = await RemoteShell.open(connection, session.shell, size)
        except ShellFailedError:
            await self._audit.outcome(intent, kind, session.instance, by=by, details=f"{what} could not be opened")
            raise
        try:
            await self._audit.outcome(intent, kind, session.instance, by=by, details=f"{what} opened")
        except AuditUnavailableError:
            remote.close()
            raise
        return remote

    async def _follow(self, session: Session, remote: RemoteShell) -> None:
        """Follow a shell to its end, and write that down."""
        try:
            await session.follow(remote)
        finally:
            self._following.pop(session.id, None)
            reason = session.reason.reason if session.reason else ""
            lasted = round((self._clock.monotonic() - session.began) * 1000)
            details = f"Terminal {session.id}: {reason}"
            kind, instance = AuditType.TERMINAL_SESSION_END, session.instance
            try:
                await self._audit.record(
                    kind, instance, by=Actor.of(session.owner), details=details, duration_ms=lasted
                )
            except AuditUnavailableError:
                self._audit.note(kind, instance, details=details, duration_ms=lasted)
            structlog.get_logger().info("terminal_closed", instance=instance.name, session=session.id, reason=reason)

    async def _end(self, session: Session, reason: Close) -> None:
        session.close(reason)
        if (following := self._following.get(session.id)) is not None:
            await asyncio.wait({following}, timeout=5)

    async def _close_lost(self, instance_id: int) -> None:
        for session in self._of(instance_id):
            session.close(LOST)

    async def _may_go_on(self, session: Session) -> bool:
        viewer = session.viewer
        try:
            await self._access.instance(session.owner, str(session.instance.id))
            if viewer is not None:
                await self._allowed.check(viewer.principal, session.instance)
        except UnavailableError:
            return True
        except AppError:
            return False
        return True

    def _known(self, instance: Instance, session_id: str) -> Session:
        session = self._sessions.get(session_id)
        if session is None or session.instance.id != instance.id:
            raise SessionNotFoundError
        return session

    def _of(self, instance_id: int) -> list[Session]:
        return [one for one in self._sessions.values() if one.instance.id == instance_id and one.reason is None]

    def _forget_old(self) -> None:
        closed = [one.id for one in self._sessions.values() if one.reason is not None]
        for session_id in closed[: -REMEMBERED or None]:
            del self._sessions[session_id]
