"""One socket, from its handshake to its close code.

The reader takes frames into a bounded queue and pauses when it is full or when the client is faster than it may be; TCP
then slows the client. A second task does what frames ask, in their order, and a third sends. What a frame means is the
dialogue's business, one kind per path. Whoever wants the socket to end, from wherever, calls `end`: what is due is
sent, then the close code.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

import structlog
from msgspec import UNSET, Struct, UnsetType

from agent_runtime.sockets.domain.answers import AliveFrame, ErrorFrame, KeepAliveFrame, Ref, ref_of
from agent_runtime.sockets.domain.closings import MALFORMED, RESTARTING, STALLED, TRY_AGAIN, Closing
from agent_runtime.sockets.domain.credentials import Credential
from agent_runtime.sockets.domain.frames import (
    AuthFrame,
    MalformedFrameError,
    Message,
    PingFrame,
    PongFrame,
    RefusedFrameError,
    begins_at,
    read_client_frame,
    text_message,
)
from agent_runtime.sockets.usecases.entrance import Entrance, Receive
from agent_runtime.sockets.usecases.means import Means
from agent_runtime.sockets.usecases.outgoing import MAX_WAITING, Outgoing
from shoal.errors import AppError
from shoal.http.sockets import DRAINING
from shoal.identity import Principal
from shoal.ids import new_id
from shoal.pacing import TokenBucket
from shoal.tasks import end

FAREWELL_S = 2.0
FINISH_S = 5.0
MAX_UNHEARD = 64

Send = Callable[[Any], Awaitable[None]]


class Dialogue(Protocol):
    """What a socket's frames mean, by its path."""

    path: str

    async def begin(self) -> None:
        """Welcome a client who signed in.

        Raises:
            AppError: The socket has nothing to offer; its client is told and it ends.
        """
        ...

    async def hear(self, frame: Any, text: str) -> None:
        """Do what a frame asks.

        Raises:
            AppError: It cannot be done; the client is told.
            RefusedFrameError: It is no frame for this path; the client is told.
        """
        ...


class Socket:
    """One socket: watched by `Sockets`, a viewer to `Audiences`, the speaker of its dialogue."""

    def __init__(
        self,
        means: Means,
        receive: Receive,
        send: Send,
        principal: Principal,
        dialogue: "Callable[[Socket], Dialogue]",
    ) -> None:
        self.id = new_id("sock")
        self.credential: Credential | None = None
        self.checked_at = means.clock.monotonic()
        self.ended_at: float | None = None
        self._means = means
        self._receive = receive
        self._principal = principal
        self._dialogue = dialogue(self)
        self._outgoing = Outgoing(send)
        self._entrance = Entrance(means, self)
        self._unheard: asyncio.Queue[tuple[Any, str] | None] = asyncio.Queue(MAX_UNHEARD)
        """What was read and not yet done; None comes last."""
        self._held_back: list[Message] | None = None
        self._bucket = TokenBucket(means.messages_per_second, means.clock.monotonic())
        self._is_told_of_rate = False
        self._holder: asyncio.Task[Any] | None = None

    # as its dialogue sees it

    @property
    def principal(self) -> Principal:
        """Who signed in; until then, whom the gateway vouched for."""
        return self._principal if self.credential is None else self.credential.principal

    def answer(self, frame: Struct | Mapping[str, Any]) -> None:
        """Tell the client something."""
        self._pass_on(text_message(frame))

    def refuse(self, code: str, message: str, ref: Ref | UnsetType = UNSET) -> None:
        """Tell the client that something was not done."""
        self.answer(ErrorFrame(code, message, ref))

    async def join(self, names: Iterable[str]) -> None:
        """Hear the account's frames of some names; they are held back until `release`.

        Raises:
            UnavailableError: That cannot be had right now.
        """
        self._held_back = []
        await self._means.audiences.join(self.principal.account_id, self, names)

    def release(self) -> None:
        """Let through what was held back: what stood when it was read has been told."""
        held_back, self._held_back = self._held_back or [], None
        for message in held_back:
            self._pass_on(message)

    def hold_back(self) -> None:
        """Hold back frames until `release`: what stands is going to be read and told."""
        if self._held_back is None:
            self._held_back = []

    def held_from(self, run_id: str) -> int | None:
        """Tell at which character of a run's text begins what is held back of it."""
        return begins_at(self._held_back or (), run_id)

    def listen(self, names: Iterable[str]) -> None:
        """Hear other names from now on."""
        self._means.audiences.listen(self.principal.account_id, self, names)

    # as others see it

    def tell(self, message: Message) -> None:
        """Show a frame of the account; it waits its turn while frames are held back."""
        if self.ended_at is not None:
            return
        if self._held_back is None:
            self._pass_on(message)
        else:
            self._held_back.append(message)
            if len(self._held_back) > MAX_WAITING:
                self.end(STALLED)

    def end(self, closing: Closing) -> None:
        """Close the socket; again is without effect."""
        if self.ended_at is None:
            self.ended_at = self._means.clock.monotonic()
            self._means.instruments.closings.labels(str(int(closing.code))).inc()
            self._outgoing.end(closing)

    def abort(self) -> None:
        """Stop whatever it waits for: its client does not read."""
        if self._holder is not None:
            self._holder.cancel()

    def keep_alive(self) -> None:
        """Say something after a long silence: whoever is between us and the client forgets silent sockets."""
        if self.credential is not None and self._outgoing.quiet_s > self._means.quiet_for.total_seconds():
            self.answer(KeepAliveFrame(self._means.clock.now()))

    # its life

    async def hold(self) -> None:
        """Hold the socket to its end."""
        self._holder = asyncio.current_task()
        self._means.sockets.open(self)
        sending = asyncio.create_task(self._outgoing.run())
        working: list[asyncio.Task[None]] = []
        gauge = self._means.instruments.sockets.labels(self._dialogue.path)
        try:
            with gauge.track_inprogress():
                if await self._entrance.admit(self._principal, self._receive):
                    working.append(asyncio.create_task(self._work()))
                    await self._read()
                    await self._finish(working)
        except asyncio.CancelledError:
            if self.ended_at is None:  # cancelled by the server that stops, not by `abort`
                raise
        except Exception as error:  # noqa: BLE001 - a fault of ours must not look like the client's
            self._fail(error)
        finally:
            await end(working)
            await self._part(sending)

    async def _part(self, sending: "asyncio.Task[None]") -> None:
        means = self._means
        means.sockets.close(self)
        if self.credential is not None:
            account_id = self.principal.account_id
            means.slots.free(self.id, account_id)
            await means.audiences.leave(account_id, self)
        if self.ended_at is not None:
            await asyncio.wait([sending], timeout=FAREWELL_S)
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError, RuntimeError):  # the socket was closed already
            await sending

    async def _read(self) -> None:
        """Take frames until the socket is closed."""
        while True:
            message = await self._receive()
            if message["type"] != "websocket.receive":
                if message.get(DRAINING):
                    self.end(RESTARTING)
                return
            if self.ended_at is not None:
                continue
            text = message.get("text")
            try:
                await self._unheard.put((read_client_frame(text), text))
            except RefusedFrameError as error:
                self.refuse(error.code, error.message)
            except MalformedFrameError:
                self.end(MALFORMED)
            pause = self._bucket.spend(1, self._means.clock.monotonic())
            if pause:
                await self._slow_down(pause)

    async def _finish(self, working: "list[asyncio.Task[None]]") -> None:
        """Do what was still said: whoever sends a message and leaves has sent it."""
        if self.ended_at is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FINISH_S):
                    await self._unheard.put(None)
                    await asyncio.wait(working)

    async def _slow_down(self, pause: float) -> None:
        if not self._is_told_of_rate:
            self._is_told_of_rate = True
            rate = self._means.messages_per_second
            self.refuse("rate_limited", f"More than {rate} messages a second: reading pauses until that is over.")
        await asyncio.sleep(pause)

    async def _work(self) -> None:
        """Do what frames ask, in their order."""
        try:
            await self._dialogue.begin()
            while True:
                unheard = await self._unheard.get()
                if unheard is None or self.ended_at is not None:
                    return
                frame, text = unheard
                try:
                    await self._hear(frame, text)
                except RefusedFrameError as error:
                    self.refuse(error.code, error.message)
                except AppError as error:
                    self.refuse(error.code, error.message, ref_of(frame))
        except AppError as error:
            self.refuse(error.code, error.message)
            self.end(TRY_AGAIN)
        except Exception as error:  # noqa: BLE001 - as in `hold`
            self._fail(error)

    async def _hear(self, frame: Any, text: str) -> None:
        match frame:
            case PingFrame():
                self.answer(AliveFrame(self._means.clock.now()))
            case PongFrame():
                pass
            case AuthFrame(token=token):
                await self._entrance.prove_again(token)
            case _:
                await self._dialogue.hear(frame, text)

    def _pass_on(self, message: Message) -> None:
        if self.ended_at is None:
            self._outgoing.tell(message)
            if self._outgoing.is_stalled:
                self.end(STALLED)

    def _fail(self, error: Exception) -> None:
        structlog.get_logger().error("socket_failed", error=repr(error), exc_info=error)
        self.end(TRY_AGAIN)
