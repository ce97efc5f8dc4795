"""One terminal: a shell that runs on, what it showed last, and whoever looks at it."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime

from shoal.http.asgi import Send
from shoal.identity import Principal
from ssh_manager.entrance import Close
from ssh_manager.ports import Instance
from ssh_manager.terminals.clients import RemoteShell
from ssh_manager.terminals.domain import (
    EXITED,
    LOST,
    STALLED,
    TAKEN_OVER,
    Scrollback,
    Shell,
    Size,
    State,
    Summary,
)

STALLED_S = 30.0
"""How long a viewer may take nothing before it is left behind."""


class Viewer:
    """Somebody's socket on a terminal; `closed` is set, with the reason, when it must end."""

    def __init__(self, send: Send, principal: Principal) -> None:
        self.principal = principal
        self.reason: Close | None = None
        self.closed = asyncio.Event()
        self._send = send
        self._deadline: asyncio.Timeout | None = None

    async def show(self, data: bytes) -> None:
        """Show what the shell wrote; returns when the browser has taken it, or is left behind."""
        if self.reason is not None:
            return
        try:
            async with asyncio.timeout(STALLED_S) as self._deadline:
                await self._send({"type": "websocket.send", "bytes": data})
        except (TimeoutError, OSError, RuntimeError):
            self.close(STALLED)
        finally:
            self._deadline = None

    def close(self, reason: Close) -> None:
        """End the socket; the first reason counts."""
        if self.reason is None:
            self.reason = reason
            self.closed.set()
            if self._deadline is not None:
                self._deadline.reschedule(asyncio.get_running_loop().time())


class Terminal:
    """One shell of an instance, what of it is remembered, and who looks at it."""

    def __init__(
        self,
        session_id: str,
        instance: Instance,
        owner: Principal,
        shell: Shell,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self.id = session_id
        self.instance = instance
        self.owner = owner
        """The user whose it is, as they came last."""
        self.shell = shell
        self.created_at = now()
        self.closed_at: datetime | None = None
        self.reason: Close | None = None
        self.viewer: Viewer | None = None
        self.began = self.used = monotonic()
        self._now = now
        self._monotonic = monotonic
        self._remote: RemoteShell | None = None
        self._scrollback = Scrollback()
        self._turn = asyncio.Lock()

    @property
    def summary(self) -> Summary:
        """What is shown of it."""
        return Summary(
            id=self.id,
            instance_id=self.instance.id,
            user_id=self.owner.user_id,
            shell=self.shell.word,
            state=self.state,
            created_at=self.created_at,
            closed_at=self.closed_at,
        )

    @property
    def state(self) -> State:
        """Whether somebody looks at it, nobody does, or it is closed."""
        if self.reason is not None:
            return State.CLOSED
        return State.DETACHED if self.viewer is None else State.ACTIVE

    async def follow(self, remote: RemoteShell) -> None:
        """Remember and show what the shell writes, until it ends."""
        self._remote = remote
        try:
            while data := await remote.read():
                self.used = self._monotonic()
                async with self._turn:
                    self._scrollback.add(data)
                    if self.viewer is not None:
                        await self.viewer.show(data)
            self.close(LOST if remote.is_lost else EXITED)
        except OSError:
            self.close(LOST)
        finally:
            self.close(LOST)
            remote.close()

    async def attach(self, viewer: Viewer) -> None:
        """Let somebody look, in the place of whoever did before: first at what was shown last."""
        if self.viewer is not None:
            self.viewer.close(TAKEN_OVER)
        self.owner = viewer.principal
        async with self._turn:
            self.used = self._monotonic()
            if shown := self._scrollback.all():
                await viewer.show(shown)
            self.viewer = viewer
        if self.reason is not None:
            viewer.close(self.reason)

    def detach(self, viewer: Viewer) -> None:
        """Let somebody look no more; the shell runs on."""
        if self.viewer is viewer:
            self.viewer = None
            self.used = self._monotonic()

    async def type(self, data: bytes) -> None:
        """Give the shell what somebody typed."""
        self.used = self._monotonic()
        if self._remote is not None:
            await self._remote.write(data)

    def resize(self, size: Size) -> None:
        """Tell the shell another size."""
        if self._remote is not None:
            self._remote.resize(size)

    def close(self, reason: Close) -> None:
        """End the shell, and whoever looks at it; the first reason counts."""
        if self.reason is not None:
            return
        self.reason, self.closed_at = reason, self._now()
        if self.viewer is not None:
            self.viewer.close(reason)
        if self._remote is not None:
            with contextlib.suppress(OSError):
                self._remote.close()
