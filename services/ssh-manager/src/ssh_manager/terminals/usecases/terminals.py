"""Every terminal: who may open, see and close which, and when one has been there for too long."""

import asyncio
from datetime import timedelta

import asyncssh
import structlog

from shoal.clock import Clock
from shoal.identity import Principal
from shoal.ids import new_id
from shoal.tasks import end
from ssh_manager.entrance import REVOKED, STOPPING, Close, Entrance, reason_to_leave
from ssh_manager.errors import AuditUnavailableError
from ssh_manager.ports import Access, Actor, Audit, AuditType, Instance, Links
from ssh_manager.terminals.clients import RemoteShell
from ssh_manager.terminals.domain import (
    CLOSED,
    IDLE,
    LOST,
    MAX_TERMINALS,
    TOO_OLD,
    Shell,
    Size,
    State,
    Summary,
)
from ssh_manager.terminals.errors import (
    ShellFailedError,
    TerminalClosedError,
    TerminalForbiddenError,
    TerminalNotFoundError,
    TooManyTerminalsError,
)
from ssh_manager.terminals.usecases.terminal import Terminal

REMEMBERED = 200
"""Closed terminals that lists still show."""


class Terminals:
    """Open, find, list and close terminals; they live in this process, as the connections do that they go through."""

    def __init__(
        self,
        *,
        access: Access,
        entrance: Entrance,
        links: Links,
        audit: Audit,
        clock: Clock,
        idle: timedelta,
        max_age: timedelta,
    ) -> None:
        self._access = access
        self._entrance = entrance
        self._links = links
        self._audit = audit
        self._clock = clock
        self._idle_s = idle.total_seconds()
        self._max_age_s = max_age.total_seconds()
        self._terminals: dict[str, Terminal] = {}
        self._following: dict[str, asyncio.Task[None]] = {}
        links.on_lost(self._close_lost)

    async def open(self, instance_id: str, *, shell: str, size: Size, by: Principal) -> Terminal:
        """Open a terminal.

        Raises:
            UnauthorizedError, InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError,
                AddressRestrictedError: As for `Entrance`.
            UnknownShellError: There is no such shell.
            NotConnectedError: There is no way to the instance now.
            TooManyTerminalsError: It has as many as it can have.
            AuditUnavailableError: It cannot be written down.
            ShellFailedError: The instance does not open one.
        """
        instance = await self._entrance.admit(by, instance_id)
        wanted = Shell.named(shell)
        connection = self._links.connection(instance.id)
        if len(self._of(instance.id)) >= MAX_TERMINALS:
            raise TooManyTerminalsError(retry_after_s=5)
        terminal = Terminal(new_id("term"), instance, by, wanted, now=self._clock.now, monotonic=self._clock.monotonic)
        self._terminals[terminal.id] = terminal
        try:
            remote = await self._start(terminal, connection, size)
        except BaseException:
            del self._terminals[terminal.id]
            raise
        self._following[terminal.id] = asyncio.ensure_future(self._follow(terminal, remote))
        return terminal

    async def find(self, instance_id: str, session_id: str, *, by: Principal) -> Terminal:
        """Find a terminal of the caller's own.

        Raises:
            UnauthorizedError, InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError,
                AddressRestrictedError: As for `Entrance`.
            TerminalNotFoundError: The instance has none of this id.
            TerminalForbiddenError: It is somebody else's.
            TerminalClosedError: It has ended.
        """
        instance = await self._entrance.admit(by, instance_id)
        terminal = self._known(instance, session_id)
        if terminal.owner.user_id != by.user_id:
            raise TerminalForbiddenError
        if terminal.reason is not None:
            raise TerminalClosedError
        return terminal

    async def list_for(self, instance_id: str, *, is_active: bool, by: Principal) -> list[Summary]:
        """List the caller's terminals of an instance, all of them for admins; the newest last.

        Raises:
            InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError: As for `Access`.
        """
        instance = await self._access.instance(by, instance_id)
        found = [one for one in self._terminals.values() if one.instance.id == instance.id]
        mine = [one.summary for one in found if by.is_admin or one.owner.user_id == by.user_id]
        return [one for one in mine if not is_active or one.state is not State.CLOSED]

    async def close(self, instance_id: str, session_id: str, *, by: Principal) -> None:
        """Close a terminal: one's own, or as an admin.

        Raises:
            InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError: As for `Access`.
            TerminalNotFoundError: The instance has none of this id.
            TerminalForbiddenError: It is somebody else's.
        """
        instance = await self._access.instance(by, instance_id)
        terminal = self._known(instance, session_id)
        if terminal.owner.user_id != by.user_id and not by.is_admin:
            raise TerminalForbiddenError
        await self._end(terminal, CLOSED)

    async def look(self) -> None:
        """Close what nobody uses, what is too old, and what its user may not use any more."""
        now = self._clock.monotonic()
        for terminal in [one for one in self._terminals.values() if one.reason is None]:
            if now - terminal.used > self._idle_s:
                terminal.close(IDLE)
            elif now - terminal.began > self._max_age_s:
                terminal.close(TOO_OLD)
            else:
                asking = self._entrance.admit(terminal.owner, str(terminal.instance.id))
                if (reason := await reason_to_leave(asking)) is not None:
                    terminal.close(reason)
        self._forget_old()

    async def close_of_user(self, user_id: str) -> None:
        """Close a user's terminals."""
        for terminal in list(self._terminals.values()):
            if terminal.owner.user_id == user_id:
                terminal.close(REVOKED)

    async def close_all(self) -> None:
        """Close everything, and write down that it was."""
        for terminal in self._terminals.values():
            terminal.close(STOPPING)
        if self._following:
            await asyncio.wait(self._following.values(), timeout=2)
            await end(self._following.values())

    async def _start(self, terminal: Terminal, connection: asyncssh.SSHClientConnection, size: Size) -> RemoteShell:
        """Start the shell, between two entries of the audit log."""
        kind, by = AuditType.TERMINAL_SESSION_START, Actor.of(terminal.owner)
        what = f"Terminal {terminal.id} ({terminal.shell.word} shell)"
        intent = await self._audit.intent(kind, terminal.instance, by=by, details=f"{what} was asked for")
        try:
            remote = await RemoteShell.open(connection, terminal.shell, size)
        except ShellFailedError:
            await self._audit.outcome(intent, kind, terminal.instance, by=by, details=f"{what} could not be opened")
            raise
        try:
            await self._audit.outcome(intent, kind, terminal.instance, by=by, details=f"{what} opened")
        except AuditUnavailableError:
            remote.close()
            raise
        return remote

    async def _follow(self, terminal: Terminal, remote: RemoteShell) -> None:
        """Follow a shell to its end, and write that down."""
        try:
            await terminal.follow(remote)
        finally:
            self._following.pop(terminal.id, None)
            reason = terminal.reason.reason if terminal.reason else ""
            lasted = round((self._clock.monotonic() - terminal.began) * 1000)
            details = f"Terminal {terminal.id}: {reason}"
            kind, instance = AuditType.TERMINAL_SESSION_END, terminal.instance
            try:
                await self._audit.record(
                    kind, instance, by=Actor.of(terminal.owner), details=details, duration_ms=lasted
                )
            except AuditUnavailableError:
                self._audit.note(kind, instance, details=details, duration_ms=lasted)
            structlog.get_logger().info("terminal_closed", instance=instance.name, terminal=terminal.id, reason=reason)

    async def _end(self, terminal: Terminal, reason: Close) -> None:
        terminal.close(reason)
        if (following := self._following.get(terminal.id)) is not None:
            await asyncio.wait({following}, timeout=5)

    async def _close_lost(self, instance_id: int) -> None:
        for terminal in self._of(instance_id):
            terminal.close(LOST)

    def _known(self, instance: Instance, session_id: str) -> Terminal:
        terminal = self._terminals.get(session_id)
        if terminal is None or terminal.instance.id != instance.id:
            raise TerminalNotFoundError
        return terminal

    def _of(self, instance_id: int) -> list[Terminal]:
        return [one for one in self._terminals.values() if one.instance.id == instance_id and one.reason is None]

    def _forget_old(self) -> None:
        closed = [one.id for one in self._terminals.values() if one.reason is not None]
        for session_id in closed[: -REMEMBERED or None]:
            del self._terminals[session_id]
