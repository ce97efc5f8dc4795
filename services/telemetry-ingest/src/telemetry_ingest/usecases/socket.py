"""One socket, from the first frame to the close code.

The reader (`hold`) is the only one who takes from the socket, and it does not wait for storage: it hands frames to
the publisher and goes on. It pauses in two cases, and then TCP slows the client down: when the publisher has no room,
and when the client is faster than it may be. What is due to the client goes out from a task of its own. Whoever wants
the socket to end, from wherever, calls `end`: what is due is sent, then the close code; nothing that comes after is
taken.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from shoal.errors import UnavailableError
from shoal.http.sockets import DRAINING
from shoal.identity import Principal, Via
from shoal.ids import new_id
from shoal.pacing import TokenBucket
from telemetry_ingest.domain.closings import (
    MALFORMED,
    NO_AUTH,
    RESTARTING,
    REVOKED,
    STALLED,
    TRY_AGAIN,
    UNAUTHORIZED,
    CloseCode,
    Closing,
    Gone,
)
from telemetry_ingest.domain.credentials import Credential
from telemetry_ingest.domain.frames import AuthError, AuthFrame, ProtocolError, Ref
from telemetry_ingest.domain.reading import MalformedFrameError, RefusedFrameError, read_client_frame
from telemetry_ingest.errors import CredentialUnknownError
from telemetry_ingest.usecases.admissions import NotAdmittedError
from telemetry_ingest.usecases.hearing import Hearing, Means
from telemetry_ingest.usecases.outgoing import Message, Outgoing

SETTLE_S = 2.0
FAREWELL_S = 2.0

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Socket:
    """One socket. It is a socket to `Sockets`, a viewer to `Audiences`, a speaker to its `Hearing`."""

    def __init__(self, means: Means, receive: Receive, send: Send, principal: Principal) -> None:
        now = means.clock.monotonic()
        self.id = new_id("sock")
        self.credential: Credential | None = None
        self.outgoing = Outgoing(send, means.instruments)
        self.muted: set[str] = set()
        self.opened_at = means.clock.now().timestamp()
        self.heard_at = self.checked_at = now
        self.ended_at: float | None = None
        self._means = means
        self._receive = receive
        self._principal = principal
        self._bucket = TokenBucket(means.config.messages_per_second, now)
        self._hearing: Hearing | None = None
        self._gone = Gone.LOST
        self._is_told_of_rate = False
        self._holder: asyncio.Task[Any] | None = None
        self._only: str | None = None

    # what others do to it

    def show(self, agent_id: str, kind: str, message: Message) -> None:
        """See a live frame, unless its agent is muted or another's."""
        if agent_id not in self.muted and (self._only is None or agent_id == self._only):
            self.outgoing.show(agent_id, kind, message)

    def end(self, closing: Closing) -> None:
        """Close the socket; again is without effect."""
        if self.ended_at is None:
            self.ended_at = self._means.clock.monotonic()
            self._gone = closing.gone
            self._means.instruments.closings.labels(str(int(closing.code))).inc()
            self.outgoing.end(closing)

    def abort(self) -> None:
        """Stop whatever it waits for: its client does not read."""
        if self._holder is not None:
            self._holder.cancel()

    # its life

    async def hold(self) -> None:
        """Hold the socket to its end."""
        self._holder = asyncio.current_task()
        self._means.admissions.open(self)
        sending = asyncio.create_task(self.outgoing.run())
        sockets = self._means.instruments.sockets
        kind = sockets.labels("nobody")
        kind.inc()
        try:
            hearing = await self._sign_in()
            if hearing is not None:
                kind.dec()
                kind = sockets.labels("agent" if hearing.is_agent else "user")
                kind.inc()
                await self._listen(hearing)
        except asyncio.CancelledError:
            if self.ended_at is None:  # cancelled by the server that stops, not by `abort`
                raise
        except Exception as error:  # noqa: BLE001 - a fault of ours must not look like the client's
            structlog.get_logger().error("socket_failed", error=repr(error), exc_info=error)
            self.end(TRY_AGAIN)
        finally:
            kind.dec()
            await self._part(sending)

    async def _part(self, sending: "asyncio.Task[None]") -> None:
        if self._hearing is not None:
            self._hearing.stop()
        await self._means.admissions.leave(self, self._gone)
        if self.ended_at is not None:
            await asyncio.wait([sending], timeout=FAREWELL_S)
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError, RuntimeError):  # the socket was closed already
            await sending

    async def _listen(self, hearing: Hearing) -> None:
        receive, monotonic = self._receive, self._means.clock.monotonic
        publisher, bucket = self._means.publisher, self._bucket
        while True:
            message = await receive()
            if message["type"] != "websocket.receive":
                await self._hang_up(message)
                return
            if self.ended_at is not None:
                continue
            self.heard_at = now = monotonic()
            try:
                cost = await hearing.hear(_text(message))
            except MalformedFrameError:
                self.end(MALFORMED)
                continue
            pause = bucket.spend(cost, now)
            if pause:
                await self._slow_down(pause)
            if not publisher.has_room:
                await self._wait_for_room()
            if self.outgoing.is_stalled:
                self.end(STALLED)

    async def _hang_up(self, message: Any) -> None:
        """The socket is closed, or the server that holds it stops."""
        if message.get(DRAINING):
            if self._hearing is not None:
                await self._hearing.settle(SETTLE_S)
            self.end(RESTARTING)
        elif self.ended_at is None and "reason" in message:  # a close frame came, not just the end of the stream
            self._gone = Gone.CLOSED

    async def _slow_down(self, pause: float) -> None:
        if not self._is_told_of_rate:
            self._is_told_of_rate = True
            rate = self._means.config.messages_per_second
            told = f"More than {rate} messages a second: reading pauses until that is no longer so."
            self.outgoing.answer(ProtocolError("rate_limited", told))
        with self._means.instruments.paused.labels("rate").track_inprogress():
            await asyncio.sleep(pause)

    async def _wait_for_room(self) -> None:
        self.heard_at = float("inf")  # the silence is ours
        try:
            with self._means.instruments.paused.labels("room").track_inprogress():
                await self._means.publisher.room()
        finally:
            self.heard_at = self._means.clock.monotonic()

    # signing in

    async def _sign_in(self) -> Hearing | None:
        if self._principal.via is Via.NONE:
            return await self._sign_in_by_frame()
        credential = Credential(principal=self._principal)
        if not credential.is_good:
            self._turn_away("auth_required", "This credential opens no telemetry socket.")
            return None
        try:
            await self._means.credentials.check(self._principal)
            return await self._enter(credential, None)
        except CredentialUnknownError:
            self.end(REVOKED)
        except UnavailableError:
            self.end(TRY_AGAIN)
        return None

    async def _sign_in_by_frame(self) -> Hearing | None:
        deadline = asyncio.get_running_loop().time() + self._means.config.auth_timeout.total_seconds()
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    message = await self._receive()
            except TimeoutError:
                self.end(NO_AUTH)
                return None
            if message["type"] != "websocket.receive" or self.ended_at is not None:
                await self._hang_up(message)
                return None
            try:
                frame = read_client_frame(_text(message))
            except MalformedFrameError:
                self.end(MALFORMED)
                return None
            except RefusedFrameError as error:
                self._refuse_early(error.code, error.message, error.ref)
                continue
            if isinstance(frame, AuthFrame):
                return await self._authenticate(frame)
            self._refuse_early("not_authenticated", "Send an auth frame first.", Ref(getattr(frame, "seq", None)))

    async def _authenticate(self, frame: AuthFrame) -> Hearing | None:
        try:
            credential = await self._means.credentials.resolve(frame.token)
            return await self._enter(credential, frame.epoch)
        except CredentialUnknownError as error:
            self._turn_away(error.code, error.message)
        except UnavailableError:
            self.end(TRY_AGAIN)
        return None

    async def _enter(self, credential: Credential, epoch: str | None) -> Hearing | None:
        self.credential = credential
        if credential.is_agent:
            self._only = credential.principal.agent_id
        try:
            agents = await self._means.admissions.admit(self, credential)
        except NotAdmittedError as refusal:
            if refusal.closing.code is CloseCode.UNAUTHORIZED:
                self.outgoing.answer(AuthError("invalid_token", "The token is not valid."))
            self.end(refusal.closing)
            return None
        self.heard_at = self._means.clock.monotonic()
        hearing = self._hearing = Hearing(self._means, self, credential, agents, epoch)
        hearing.welcome()
        return hearing

    def _turn_away(self, code: str, message: str) -> None:
        self.outgoing.answer(AuthError(code, message))
        self.end(UNAUTHORIZED)

    def _refuse_early(self, code: str, message: str, ref: Ref) -> None:
        self.outgoing.answer(ProtocolError(code, message, None if ref == Ref() else ref))
        if self.outgoing.is_stalled:
            self.end(STALLED)


def _text(message: Any) -> str:
    text: str | None = message.get("text")
    if text is None:
        raise MalformedFrameError("frames are text")
    return text
