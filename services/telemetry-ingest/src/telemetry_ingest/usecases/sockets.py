"""Sockets: every open one of this process, found by what may end it."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Protocol

import structlog

from shoal.clock import Clock
from shoal.errors import UnavailableError
from telemetry_ingest.domain.closings import IDLE, PAIRING_ENDED, REVOKED, SUPERSEDED, TRY_AGAIN, Closing
from telemetry_ingest.domain.credentials import Credential
from telemetry_ingest.usecases.credentials import Credentials

WATCH_S = 0.5
ABORT_AFTER_S = 2.0
REMEMBER_S = 300.0
AT_ONCE = 8


class WatchedSocket(Protocol):
    """As much of a socket as watching it needs."""

    id: str
    credential: Credential | None
    heard_at: float
    opened_at: float
    """Unix seconds."""
    checked_at: float
    ended_at: float | None

    def end(self, closing: Closing) -> None:
        """Close it; again is without effect."""
        ...

    def abort(self) -> None:
        """Stop whatever it waits for: its client does not read."""
        ...


class Sockets:
    """The open sockets: who they belong to, how long they have been silent, whether they may still be open."""

    name = "sockets"

    def __init__(
        self, credentials: Credentials, clock: Clock, *, idle_timeout: timedelta, revalidate_every: timedelta
    ) -> None:
        self._credentials = credentials
        self._clock = clock
        self._idle_s = idle_timeout.total_seconds()
        self._revalidate_s = revalidate_every.total_seconds()
        self._open: dict[str, WatchedSocket] = {}
        self._of_pairing: dict[str, WatchedSocket] = {}
        self._of_user: dict[str, dict[str, WatchedSocket]] = {}
        self._revoked: dict[tuple[str, str], float] = {}

    def problem(self) -> str | None:
        """Nothing here makes the service unable to answer."""
        return None

    def open(self, socket: WatchedSocket) -> None:
        """Watch a socket from now on."""
        self._open[socket.id] = socket

    def admit(self, socket: WatchedSocket, credential: Credential) -> Closing | None:
        """Note whose socket it is; an older one of the same pairing ends. Says why it must end itself, if it must."""
        principal = credential.principal
        if any((kind, name) in self._revoked for kind, name in _handles(credential)):
            return REVOKED
        if credential.is_agent:
            older = self._of_pairing.get(principal.pairing_id)
            self._of_pairing[principal.pairing_id] = socket
            if older is not None and older is not socket:
                older.end(SUPERSEDED)
        else:
            self._of_user.setdefault(principal.user_id, {})[socket.id] = socket
        return None

    def of_user(self, user_id: str) -> list[str]:
        """List the sockets that a user's credentials hold here."""
        return list(self._of_user.get(user_id, {}))

    def close(self, socket: WatchedSocket) -> None:
        """Watch a socket no more."""
        self._open.pop(socket.id, None)
        if socket.credential is None:
            return
        principal = socket.credential.principal
        if self._of_pairing.get(principal.pairing_id) is socket:
            del self._of_pairing[principal.pairing_id]
        of_user = self._of_user.get(principal.user_id, {})
        of_user.pop(socket.id, None)
        if not of_user:
            self._of_user.pop(principal.user_id, None)

    # what ends sockets

    def supersede(self, socket_id: str) -> None:
        """End a socket whose agent has a newer one elsewhere."""
        if socket_id in self._open:
            self._open[socket_id].end(SUPERSEDED)

    def end_pairing(self, pairing_id: str) -> None:
        """End a pairing's socket, and let none in."""
        self._revoke("pairing", pairing_id)
        if pairing_id in self._of_pairing:
            self._of_pairing[pairing_id].end(PAIRING_ENDED)

    def has_ended(self, pairing_id: str) -> bool:
        """Tell whether a pairing ended a moment ago, perhaps before our copy knows."""
        return ("pairing", pairing_id) in self._revoked

    def replace_token(self, pairing_id: str, token_hash: bytes, at: float) -> None:
        """End a pairing's socket unless its token is the new one.

        A socket that the gateway signed in does not tell its token: when it opened after the change, it must come
        again and prove it.
        """
        socket = self._of_pairing.get(pairing_id)
        if socket is None or socket.credential is None or socket.credential.token_hash == token_hash:
            return
        is_known_old = socket.credential.token_hash is not None or socket.opened_at <= at
        socket.end(PAIRING_ENDED if is_known_old else TRY_AGAIN)

    def end_credential(self, credential_id: str) -> None:
        """End the sockets that a login or an API key opened, and let none in."""
        self._revoke("credential", credential_id)
        self._end_where(lambda who: who.principal.credential_id == credential_id and not who.is_agent, REVOKED)

    def end_user(self, user_id: str) -> None:
        """End the sockets of a user, and let none in."""
        self._revoke("user", user_id)
        for socket in list(self._of_user.get(user_id, {}).values()):
            socket.end(REVOKED)

    def end_account(self, account_id: str) -> None:
        """End the sockets of an account, and let none in."""
        self._revoke("account", account_id)
        self._end_where(lambda who: who.principal.account_id == account_id and who.is_agent, PAIRING_ENDED)
        self._end_where(lambda who: who.principal.account_id == account_id and not who.is_agent, REVOKED)

    def revalidate_user(self, user_id: str) -> None:
        """Look at a user's credentials again as soon as can be."""
        for socket in self._of_user.get(user_id, {}).values():
            socket.checked_at = float("-inf")

    async def run(self) -> None:
        """Watch for ever: the clock is one thing, credentials another, whose owners may be slow to answer."""
        async with asyncio.TaskGroup() as watchers:
            watchers.create_task(self._watch_silence())
            watchers.create_task(self._watch_credentials())

    async def _watch_silence(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            now = self._clock.monotonic()
            for socket in list(self._open.values()):
                if socket.ended_at is not None:
                    if now - socket.ended_at > ABORT_AFTER_S:
                        socket.abort()
                elif now - socket.heard_at > self._idle_s:
                    socket.end(IDLE)
            self._forget_revoked(now)

    async def _watch_credentials(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            await self._revalidate(self._clock.monotonic())

    async def _revalidate(self, now: float) -> None:
        due = [
            socket
            for socket in self._open.values()
            if socket.credential is not None and now - socket.checked_at > self._revalidate_s
        ]
        for socket in due:
            socket.checked_at = now
        users = [socket for socket in due if socket.credential and socket.credential.secret is not None]
        for start in range(0, len(users), AT_ONCE):
            await asyncio.gather(*(self._revalidate_one(socket) for socket in users[start : start + AT_ONCE]))
        try:
            await self._revalidate_agents([s for s in due if s.credential and s.credential.is_agent])
        except UnavailableError:
            structlog.get_logger().info("revalidation_waits", sockets=len(due))

    async def _revalidate_one(self, socket: WatchedSocket) -> None:
        if socket.credential is not None and await self._credentials.is_revoked(socket.credential):
            socket.end(REVOKED)

    async def _revalidate_agents(self, agents: list[WatchedSocket]) -> None:
        if not agents:
            return
        held = {socket.credential.principal.pairing_id: socket for socket in agents if socket.credential}
        for pairing_id, pairing in (await self._credentials.pairings(list(held))).items():
            token_hash = held[pairing_id].credential.token_hash  # type: ignore[union-attr]
            if pairing.is_ended:
                held[pairing_id].end(PAIRING_ENDED)
            elif token_hash is not None and token_hash != pairing.token_hash:
                held[pairing_id].end(TRY_AGAIN)  # one of the two is newer: its owner will tell

    def _end_where(self, is_meant: Callable[[Credential], bool], closing: Closing) -> None:
        for socket in list(self._open.values()):
            if socket.credential is not None and is_meant(socket.credential):
                socket.end(closing)

    def _revoke(self, kind: str, name: str) -> None:
        self._revoked[kind, name] = self._clock.monotonic()

    def _forget_revoked(self, now: float) -> None:
        for key in [key for key, at in self._revoked.items() if now - at > REMEMBER_S]:
            del self._revoked[key]


def _handles(credential: Credential) -> Iterable[tuple[str, str]]:
    """List what a revocation could name this credential by."""
    principal = credential.principal
    yield "account", principal.account_id
    if credential.is_agent:
        yield "pairing", principal.pairing_id
    else:
        yield "credential", principal.credential_id
        yield "user", principal.user_id
