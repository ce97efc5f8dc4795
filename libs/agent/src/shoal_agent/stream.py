"""Streaming the journal to the server for ever, through every interruption but a refusal."""

import asyncio
import contextlib
import enum
import importlib.metadata
import logging
import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from shoal_agent.exchange import EpochChangedError, Exchange, NotSignedInError, Settings, Tally
from shoal_agent.frames import ProtocolError
from shoal_agent.journal import Journal
from shoal_agent.pacing import Backoff

log = logging.getLogger(__name__)

CLIENT = f"shoal-agent/{importlib.metadata.version('shoal-agent')}"


class StreamState(enum.StrEnum):
    """Where a stream stands. The last four are final: it has stopped, and says why."""

    CONNECTING = "connecting"
    STREAMING = "streaming"
    WAITING = "waiting"
    REFUSED = "refused"
    UNPAIRED = "unpaired"
    SUPERSEDED = "superseded"
    STOPPED = "stopped"

    @property
    def is_final(self) -> bool:
        """Whether the stream has stopped."""
        return self in {self.REFUSED, self.UNPAIRED, self.SUPERSEDED, self.STOPPED}


_FINAL = {
    4401: (StreamState.REFUSED, "the telemetry token is not valid; pair again"),
    4403: (StreamState.REFUSED, "this token may not report for this agent; pair again"),
    4409: (StreamState.UNPAIRED, "the pairing was deleted; pair again"),
    4410: (StreamState.SUPERSEDED, "another program streams with the same token; stop one of them"),
}
"""What the server means for good, by close code."""

_BUSY = {1013, 4408, 4429}
_BUSY_STATUS = {401, 403, 404, 429}


class StreamStatus(Struct, frozen=True, kw_only=True):
    """How a stream is doing.

    Attributes:
        state: Where it stands.
        reason: Why, in words, or an empty string.
        since: Since when, unix seconds.
        attempts: Tries since the connection last worked.
        sent: Frames sent, resends included.
        refused: Frames that the server refused, by its code. They are not sent again.
    """

    state: StreamState
    reason: str = ""
    since: float = 0
    attempts: int = 0
    sent: int = 0
    refused: dict[str, int] = {}


class _Ended(Exception):  # noqa: N818
    """A connection is over: what to be next, and how patiently."""

    def __init__(self, reason: str, *, state: StreamState = StreamState.WAITING, is_busy: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.state, self.is_busy = printable(reason), state, is_busy


class TelemetryStream:
    """Sends a journal's frames, in order, until the server has acknowledged each of them.

    It reconnects for ever, except after the close codes 4401 and 4403 (`refused`), 4409 (`unpaired`) and
    4410 (`superseded`): these end `run`, never the program.
    """

    def __init__(
        self,
        url: str,
        token: str,
        journal: Journal,
        *,
        settings: Settings | None = None,
        backoff: Backoff | None = None,
        on_change: Callable[[StreamStatus], None] = lambda _: None,
    ) -> None:
        """Prepare a stream; nothing is sent before `run`.

        Args:
            url: The `websocket_url` of the pairing.
            token: Its telemetry token. It is sent in the first frame, and nowhere else.
            journal: What to send; call `notify` after appending to it.
            settings: How to ping and how much to send ahead.
            backoff: How soon to come back.
            on_change: Told of every change of state, in the loop of `run`.
        """
        self._url, self._token, self._journal = url, token, journal
        self._settings, self._backoff = settings or Settings(), backoff or Backoff()
        self._on_change = on_change
        self._tally = Tally()
        self._state, self._reason, self._since = StreamState.CONNECTING, "", time.time()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._exchange: Exchange | None = None
        self._stopping = asyncio.Event()
        # At DEBUG this logger would show the token, so no configuration of the program may reach it.
        self._silent = logging.Logger("websockets", logging.CRITICAL)  # noqa: LOG001
        self._silent.addHandler(logging.NullHandler())

    @property
    def status(self) -> StreamStatus:
        """How it is doing."""
        return StreamStatus(
            state=self._state,
            reason=self._reason,
            since=self._since,
            attempts=self._backoff.attempts,
            sent=self._tally.sent,
            refused=dict(self._tally.refused),
        )

    def notify(self) -> None:
        """Say that the journal has more. Any thread may call."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def stop(self) -> None:
        """Close the socket and end `run`. Frames that are not acknowledged stay in the journal."""
        self._stopping.set()

    async def drain(self, timeout_s: float) -> bool:
        """Wait until everything in the journal is acknowledged, if the connection and the time allow it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while (exchange := self._exchange) is not None:
                    exchange.wake()
                    if await _either(exchange.is_idle.wait(), exchange.ended.wait()):
                        return True
        return False

    async def run(self) -> StreamStatus:
        """Stream until `stop` is called or the server refuses for good; return how it ended."""
        self._loop = asyncio.get_running_loop()
        stopping = asyncio.create_task(self._stopping.wait())
        streaming = asyncio.create_task(self._stream())
        try:
            await asyncio.wait({stopping, streaming}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (stopping, streaming):
                task.cancel()
            await asyncio.gather(stopping, streaming, return_exceptions=True)
        if streaming.cancelled():
            self._change(StreamState.STOPPED, "")
        else:
            streaming.result()
        return self.status

    async def _stream(self) -> None:
        while True:
            self._change(StreamState.CONNECTING, self._reason)
            try:
                await self._connect()
            except _Ended as end:
                if end.state.is_final:
                    self._change(end.state, end.reason)
                    return
                delay = self._backoff.delay(is_busy=end.is_busy)
                self._change(StreamState.WAITING, end.reason)
            await asyncio.sleep(delay)

    async def _connect(self) -> None:
        """Hold one exchange; raises `_Ended` however it ends."""
        problem = ""
        try:
            async with connect(
                self._url,
                compression=None,
                open_timeout=10,
                close_timeout=2,
                ping_interval=None,  # a server that pauses reading would seem dead; the exchange pings
                user_agent_header=CLIENT,
                logger=self._silent,
            ) as socket:
                exchange = self._exchange_over(socket)
                try:
                    await exchange.sign_in(self._token, CLIENT)
                    self._exchange = exchange
                    self._change(StreamState.STREAMING, "")
                    await exchange.run()
                finally:
                    problem = exchange.problem
                    exchange.ended.set()
                    self._exchange = None
        except ConnectionClosed as error:
            raise _closed(error, problem) from error
        except NotSignedInError as error:
            raise _Ended(str(error), is_busy=True) from error
        except EpochChangedError as error:
            raise _Ended("the journal began anew") from error
        except InvalidStatus as error:
            status = error.response.status_code
            raise _Ended(f"the server answered HTTP {status}", is_busy=status in _BUSY_STATUS) from error
        except (OSError, TimeoutError, WebSocketException) as error:
            raise _Ended(str(error) or type(error).__name__) from error

    def _exchange_over(self, socket: Any) -> Exchange:
        return Exchange(
            socket,
            self._journal,
            self._settings,
            self._tally,
            on_progress=self._backoff.reset,
            on_refusal=self._note_refusal,
        )

    def _wake(self) -> None:
        if self._exchange is not None:
            self._exchange.wake()

    def _note_refusal(self, frame: ProtocolError) -> None:
        seq = frame.ref.seq if frame.ref else None
        log.warning("the server refused frame %s: %s: %s", seq, printable(frame.code), printable(frame.message))

    def _change(self, state: StreamState, reason: str) -> None:
        """Move to a state, and say so when it is news."""
        before, self._state, self._reason = (self._state, self._reason), state, reason
        if before[0] != state:
            self._since = time.time()
        if state is StreamState.STREAMING:
            log.info("streaming to %s, %d frames to send", self._url, self._journal.pending)
        elif state.is_final and state is not StreamState.STOPPED:
            log.error("%s: %s", state, reason)
        elif state is StreamState.WAITING and (self._backoff.attempts == 1 or reason != before[1]):
            log.warning("not connected, trying again: %s", reason)
        self._on_change(self.status)


def printable(text: str, limit: int = 300) -> str:
    """Return what another program said, fit for a log line."""
    return "".join(char if char.isprintable() else " " for char in text[:limit])


def _closed(error: ConnectionClosed, problem: str) -> _Ended:
    """Read a close code."""
    code, words = (error.rcvd.code, error.rcvd.reason) if error.rcvd else (1006, "the connection broke")
    state, meaning = _FINAL.get(code, (StreamState.WAITING, words or "closed"))
    said = f" [{problem or words}]" if state.is_final and (problem or words) else ""
    return _Ended(f"{meaning}{said} ({code})", state=state, is_busy=code in _BUSY)


async def _either(first: Any, second: Any) -> bool:
    """Wait for one of two; return whether it was the first."""
    tasks = [asyncio.ensure_future(first), asyncio.ensure_future(second)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return bool(tasks[0].done())
    finally:
        for task in tasks:
            task.cancel()
