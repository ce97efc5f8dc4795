"""The telemetry protocol from the caller's side, frame by frame."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

Frame = dict[str, Any]
DEADLINE_S = 10.0


class ClosedError(Exception):
    """The server closed the socket."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        super().__init__(f"closed with {code} {reason}")


class TelemetrySocket:
    """One WebSocket to `/telemetry`, and all that was heard on it.

    Attributes:
        heard: Every frame but pongs and acks, in order.
        acked: The highest sequence number that was acknowledged.
        pongs: How many pings were answered.
        auth: The frame that answered authentication.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._news = asyncio.Condition()
        self.heard: list[Frame] = []
        self.acked = 0
        self.pings = 0
        self.pongs = 0
        self.auth: Frame = {}
        self.closed: ClosedError | None = None

    async def send(self, *frames: Frame) -> None:
        """Send frames, each as one message.

        Raises:
            ClosedError: The socket is closed.
        """
        try:
            for frame in frames:
                await self._connection.send(json.dumps(frame))
        except ConnectionClosed as error:
            raise _closed(error) from error

    async def send_text(self, text: str | bytes) -> None:
        """Send whatever this is."""
        await self._connection.send(text)

    async def authenticate(self, token: str, epoch: str | None = None) -> Frame:
        """Send the first frame, and wait for its answer.

        Raises:
            ClosedError: It was refused.
        """
        await self.send({"type": "auth", "token": token} | ({"epoch": epoch} if epoch else {}))
        return await self.until_authenticated()

    async def until_authenticated(self) -> Frame:
        """Wait for `auth_success`, which a known caller gets without asking.

        Raises:
            ClosedError: The caller was refused.
        """
        await self.until(lambda: self.auth)
        if self.auth["type"] == "auth_error":
            await self.until_closed()
            assert self.closed is not None
            raise self.closed
        return self.auth

    async def barrier(self, *, within_s: float = DEADLINE_S) -> None:
        """Ping, and wait for the pong, which says that everything sent before is stored."""
        self.pings += 1
        mine = self.pings
        await self.send({"type": "ping"})
        await self.until(lambda: self.pongs >= mine, within_s=within_s)

    async def until_acked(self, seq: int, *, within_s: float = DEADLINE_S) -> None:
        """Wait until everything up to a sequence number is stored."""
        await self.until(lambda: self.acked >= seq, within_s=within_s)

    async def until_heard(self, kind: str, *, within_s: float = DEADLINE_S, **fields: object) -> Frame:
        """Wait for a frame of a type with these fields; returns the first of them."""

        def found() -> list[Frame]:
            return [f for f in self.heard if f["type"] == kind and fields.items() <= f.items()]

        await self.until(found, within_s=within_s)
        return found()[0]

    async def until(self, holds: Callable[[], Any], *, within_s: float = DEADLINE_S) -> None:
        """Wait until something holds of what was heard.

        Raises:
            ClosedError: The socket was closed before.
        """
        try:
            async with asyncio.timeout(within_s), self._news:
                await self._news.wait_for(lambda: holds() or self.closed)
        except TimeoutError:
            raise AssertionError(f"not within {within_s} s; heard {self.heard[-5:]}") from None
        if self.closed is not None and not holds():
            raise self.closed

    async def until_closed(self, *, within_s: float = DEADLINE_S) -> int:
        """Wait until the server closes the socket; returns its code."""
        with contextlib.suppress(ClosedError):
            await self.until(lambda: False, within_s=within_s)
        assert self.closed is not None
        return self.closed.code

    async def listen(self) -> None:
        """Hear the server until it closes."""
        try:
            async for message in self._connection:
                await self._take(json.loads(message))
            error = ClosedError(self._connection.close_code or 1000, self._connection.close_reason or "")
        except ConnectionClosed as closed:
            error = _closed(closed)
        async with self._news:
            self.closed = error
            self._news.notify_all()

    async def _take(self, frame: Frame) -> None:
        async with self._news:
            match frame["type"]:
                case "pong":
                    self.pongs += 1
                case "ack":
                    self.acked = max(self.acked, frame["seq"])
                case "auth_success" | "auth_error":
                    self.auth = frame
                case _:
                    self.heard.append(frame)
            self._news.notify_all()


@contextlib.asynccontextmanager
async def telemetry_socket(
    url: str,
    *,
    token: str | None = None,
    epoch: str | None = None,
    headers: Mapping[str, str] | None = None,
    origin: str | None = None,
) -> AsyncIterator[TelemetrySocket]:
    """Open a socket; with a token it is authenticated by the first frame, with headers by the handshake.

    Raises:
        ClosedError: It was refused after the handshake.
        InvalidStatus: It was refused in the handshake.
    """
    connection = await connect(
        url, origin=origin, additional_headers=headers, compression=None, proxy=None, ping_interval=None,
        close_timeout=2, open_timeout=10, max_size=2**20,
    )  # fmt: skip
    socket = TelemetrySocket(connection)
    listening = asyncio.ensure_future(socket.listen())
    try:
        if token is not None:
            await socket.authenticate(token, epoch)
        elif headers is not None:
            await socket.until_authenticated()
        yield socket
    finally:
        await connection.close()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def metrics_frame(agent_id: str, *, at: datetime | None = None, seq: int | None = None, **told: object) -> Frame:
    """Write a metrics frame as the contract shows one."""
    frame: Frame = {"type": "metrics", "agent_id": agent_id, "timestamp": stamp(at), "data": told}
    return frame if seq is None else frame | {"seq": seq}


def stamp(at: datetime | None = None) -> str:
    """Write a time as agents do."""
    return (at or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _closed(error: ConnectionClosed) -> ClosedError:
    received = error.rcvd
    return ClosedError(received.code, received.reason) if received else ClosedError(1006, "the connection broke")
