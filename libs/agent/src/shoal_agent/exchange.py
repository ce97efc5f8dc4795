"""One life of a telemetry socket: sign in, send what the journal holds, listen to acknowledgements."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from typing import Any

from msgspec import Struct
from websockets.asyncio.client import ClientConnection

from shoal_agent.frames import (
    Ack,
    Auth,
    AuthError,
    AuthSuccess,
    Limits,
    Pong,
    ProtocolError,
    ServerFrame,
    decode,
    encode,
    number,
)
from shoal_agent.journal import Journal, Record
from shoal_agent.pacing import Pace

ANSWER_S = 10.0
"""How long the server may take to answer the sign-in."""

SHARE = 0.9
"""The share of the server's rate that we use; the rest is room for pings and for clocks that differ."""

_FATAL = {"agent_not_yours", "not_authenticated"}
_PING = '{"type":"ping"}'
_BATCH = (b'{"type":"batch","items":[', b"]}")
_WRAPPING = 64  # what a batch and a seq add to a frame, at most


class Settings(Struct, frozen=True, kw_only=True):
    """How an exchange is held.

    Attributes:
        ping_every_s: Seconds between pings.
        silence_s: A server that says nothing for so long is gone.
        window: At most so many frames on their way.
    """

    ping_every_s: float = 30.0
    silence_s: float = 75.0
    window: int = 1000


class Tally:
    """What a stream did in all its exchanges; refusals by the server's code."""

    def __init__(self) -> None:
        self.sent = 0
        self.refused: Counter[str] = Counter()


class NotSignedInError(Exception):
    """The server answered the sign-in with an error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}" if message else code)


class EpochChangedError(Exception):
    """The journal began another life; it needs another sign-in."""


class Exchange:
    """The exchange over one open socket. Ends by an exception, always."""

    def __init__(
        self,
        socket: ClientConnection,
        journal: Journal,
        settings: Settings,
        tally: Tally,
        *,
        on_progress: Callable[[], None],
        on_refusal: Callable[[ProtocolError], None],
    ) -> None:
        self._socket, self._journal, self._settings, self._tally = socket, journal, settings, tally
        self._on_progress, self._on_refusal = on_progress, on_refusal
        self._epoch = journal.epoch
        self._limits = Limits()
        self._more = asyncio.Event()
        self._sent = 0  # handed to the socket
        self._written = 0  # ahead of whatever the socket is given next
        self._acknowledged = 0
        self._on_their_way: deque[tuple[int, int]] = deque()  # (last seq, frames) of each message
        self._pings: deque[int] = deque()  # what had been sent before each ping that is unanswered
        self.is_idle = asyncio.Event()
        self.ended = asyncio.Event()
        self.problem = ""

    def wake(self) -> None:
        """The journal has more."""
        self.is_idle.clear()
        self._more.set()

    async def sign_in(self, token: str, client: str) -> AuthSuccess:
        """Say who we are.

        Raises:
            NotSignedInError: The server refused, and then did not close the socket.
            ConnectionClosed: It closed the socket; `problem` holds what it said before.
            TimeoutError: No answer came in time.
        """
        auth = Auth(token=token, epoch=self._epoch, client=client)
        await self._socket.send(encode(auth), text=True)
        refusal: NotSignedInError | None = None
        try:
            async with asyncio.timeout(ANSWER_S):
                while True:
                    frame = decode(await self._socket.recv())
                    if isinstance(frame, AuthSuccess):
                        self._limits = frame.limits
                        return frame
                    if isinstance(frame, AuthError):
                        refusal = NotSignedInError(frame.code, frame.message)
                        self.problem = str(refusal)
        except TimeoutError:
            raise refusal or TimeoutError("no answer to the sign-in") from None

    async def run(self) -> None:
        """Send and listen until the socket or the server is gone.

        Raises:
            ConnectionClosed: The socket is closed.
            TimeoutError: The server has been silent for too long.
            EpochChangedError: Sign in again.
        """
        await _first_of(self._listen(), self._send(), self._beat())

    async def _listen(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._settings.silence_s):
                    message = await self._socket.recv()
            except TimeoutError:
                raise TimeoutError(f"nothing heard for {self._settings.silence_s:.0f} s") from None
            self._hear(decode(message))

    def _hear(self, frame: ServerFrame | None) -> None:
        match frame:
            case Ack(seq=seq):
                self._settle(seq)
            case Pong() if self._pings:
                self._settle(self._pings.popleft())
            case ProtocolError(code=code):
                self._tally.refused[code] += 1
                self.problem = f"{code}: {frame.message}" if code in _FATAL else ""
                self._on_refusal(frame)
            case _:
                pass

    def _settle(self, seq: int) -> None:
        """Everything up to `seq` is the server's now."""
        seq = min(seq, self._sent)
        while self._on_their_way and self._on_their_way[0][0] <= seq:
            self._on_their_way.popleft()
        if seq > self._acknowledged:
            self._acknowledged = seq
            self._journal.acknowledge(seq)
            self._more.set()
        self._on_progress()

    async def _send(self) -> None:
        cursor = self._journal.unacknowledged()
        pace = Pace(self._limits.messages_per_second * SHARE)
        size = self._limits.max_frame_bytes - _WRAPPING * (pace.burst + 1)
        while True:
            self._more.clear()
            if self._journal.epoch != self._epoch:
                raise EpochChangedError
            room = min(pace.burst, self._settings.window - sum(count for _, count in self._on_their_way))
            if not self._journal.is_synced:
                await asyncio.to_thread(self._journal.sync)
            records = self._journal.take(cursor, items=room, size=size) if room > 0 else []
            if records:
                await pace.take(len(records))
                await self._send_records(records)
                continue
            if not self._on_their_way and not self._more.is_set():
                self.is_idle.set()
            await self._more.wait()

    async def _send_records(self, records: list[Record]) -> None:
        frames = [number(record.seq, record.frame) for record in records]
        message = frames[0] if len(frames) == 1 else b",".join(frames).join(_BATCH)
        self._sent = records[-1].seq
        self._on_their_way.append((self._sent, len(records)))
        self._tally.sent += len(records)
        await self._socket.send(message, text=True)
        self._written = self._sent

    async def _beat(self) -> None:
        """Ping at once, which proves the connection, and then on and on, which keeps it."""
        while True:
            self._pings.append(self._written)
            await self._socket.send(_PING)
            await asyncio.sleep(self._settings.ping_every_s)


async def _first_of(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends, end the others, and raise what it raised."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
