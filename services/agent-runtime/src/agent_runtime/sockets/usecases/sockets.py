"""Sockets: every open one of this process, found by what may end it."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Protocol

from agent_runtime.sockets.domain.closings import REVOKED, Closing
from agent_runtime.sockets.domain.credentials import Credential
from agent_runtime.sockets.domain.slots import Slot
from agent_runtime.sockets.usecases.credentials import Credentials
from shoal.clock import Clock

WATCH_S = 0.5
ABORT_AFTER_S = 2.0
REMEMBER_S = 300.0
AT_ONCE = 8


class WatchedSocket(Protocol):
    """As much of a socket as watching it needs."""

    id: str
    credential: Credential | None
    checked_at: float
    ended_at: float | None

    def end(self, closing: Closing) -> None:
        """Close it; again is without effect."""
        ...

    def abort(self) -> None:
        """Stop whatever it waits for: its client does not read."""
        ...

    def keep_alive(self) -> None:
        """Say something if nothing was said for long."""
        ...


class Sockets:
    """The open sockets: whose they are, and whether they may still be open."""

    name = "sockets"

    def __init__(self, credentials: Credentials, clock: Clock, *, revalidate_every: timedelta) -> None:
        self._credentials = credentials
        self._clock = clock
        self._revalidate_s = revalidate_every.total_seconds()
        self._open: dict[str, WatchedSocket] = {}
        self._revoked: dict[tuple[str, str], float] = {}

    def problem(self) -> str | None:
        """Nothing here makes the service unable to answer."""
        return None

    def open(self, socket: WatchedSocket) -> None:
        """Watch a socket from now on."""
        self._open[socket.id] = socket

    def close(self, socket: WatchedSocket) -> None:
        """Watch a socket no more."""
        self._open.pop(socket.id, None)

    def may_enter(self, credential: Credential) -> bool:
        """Tell whether no revocation of a moment ago concerns a credential."""
        return not any(handle in self._revoked for handle in _handles(credential))

    def of_user(self, user_id: str) -> list[str]:
        """List the signed-in sockets of a user."""
        return [socket.id for socket, who in self._signed_in() if who.principal.user_id == user_id]

    def held(self) -> list[Slot]:
        """List the slots that signed-in sockets hold."""
        return [Slot(socket.id, who.principal.account_id, who.principal.user_id) for socket, who in self._signed_in()]

    # what ends sockets

    def end_credential(self, credential_id: str) -> None:
        """End the sockets that a login or an API key opened, and let none in."""
        self._end("credential", credential_id, lambda who: who.principal.credential_id == credential_id)

    def end_user(self, user_id: str) -> None:
        """End the sockets of a user, and let none in."""
        self._end("user", user_id, lambda who: who.principal.user_id == user_id)

    def end_account(self, account_id: str) -> None:
        """End the sockets of an account, and let none in."""
        self._end("account", account_id, lambda who: who.principal.account_id == account_id)

    def revalidate_user(self, user_id: str) -> None:
        """Look at a user's credentials again as soon as can be."""
        for socket, who in self._signed_in():
            if who.principal.user_id == user_id:
                socket.checked_at = float("-inf")

    async def run(self) -> None:
        """Watch for ever: the clock is one thing, credentials another, whose owner may be slow to answer."""
        async with asyncio.TaskGroup() as watchers:
            watchers.create_task(self._watch_clock())
            watchers.create_task(self._watch_credentials())

    async def _watch_clock(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            now = self._clock.monotonic()
            for socket in list(self._open.values()):
                if socket.ended_at is None:
                    socket.keep_alive()
                elif now - socket.ended_at > ABORT_AFTER_S:
                    socket.abort()
            for handle in [handle for handle, at in self._revoked.items() if now - at > REMEMBER_S]:
                del self._revoked[handle]

    async def _watch_credentials(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            now = self._clock.monotonic()
            due = [
                (socket, who)
                for socket, who in self._signed_in()
                if who.secret is not None and now - socket.checked_at > self._revalidate_s
            ]
            for start in range(0, len(due), AT_ONCE):
                await asyncio.gather(*(self._revalidate(socket, who) for socket, who in due[start : start + AT_ONCE]))

    async def _revalidate(self, socket: WatchedSocket, credential: Credential) -> None:
        socket.checked_at = self._clock.monotonic()
        if await self._credentials.is_revoked(credential):
            socket.end(REVOKED)

    def _end(self, kind: str, name: str, is_meant: Callable[[Credential], bool]) -> None:
        self._revoked[kind, name] = self._clock.monotonic()
        for socket, who in self._signed_in():
            if is_meant(who):
                socket.end(REVOKED)

    def _signed_in(self) -> list[tuple[WatchedSocket, Credential]]:
        return [(socket, socket.credential) for socket in self._open.values() if socket.credential is not None]


def _handles(credential: Credential) -> Iterable[tuple[str, str]]:
    """List what a revocation could name a credential by."""
    principal = credential.principal
    yield "account", principal.account_id
    yield "credential", principal.credential_id
    yield "user", principal.user_id
