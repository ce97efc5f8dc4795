"""One tunnel: a listener on loopback, whose connections go through a channel each.

Neither side is read faster than the other takes: of a near end no more than one piece is read before its channel is
open, and nothing while the channel's window is used up; a channel is not read while the near end's buffer is full. What
may then lie in between is one window for each connection.
"""

# ruff: noqa: D102 - callbacks, as asyncio and asyncssh name them

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import cast

import asyncssh

from ssh_manager.tunnels.domain import LOCAL_HOST, REMOTE_HOST

OPEN_S = 10.0
"""How long the other end may take to open a channel."""
MAX_CONNECTIONS = 256
"""At once, through one tunnel; further ones are hung up on."""
_WINDOW = 2 * 1024 * 1024
_LARGEST_PACKET = 32 * 1024

Channel = asyncssh.SSHTCPChannel[bytes]


class Tunnel:
    """Listens, and carries what comes to a port of the instance.

    Args:
        connection: The instance's connection.
        remote_port: The instance's port.
        count: Told of every byte that was carried, either way.
    """

    def __init__(
        self, connection: asyncssh.SSHClientConnection, remote_port: int, *, count: Callable[[int], None]
    ) -> None:
        self.remote_port = remote_port
        self.count = count
        self.connection = connection
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None
        self._ends: set[NearEnd] = set()

    async def open(self, port: int = 0) -> int:
        """Listen on loopback, on a port if it is free, else on any; returns which.

        Raises:
            OSError: Nobody can listen.
        """
        try:
            self._server = await self._loop.create_server(lambda: NearEnd(self), LOCAL_HOST, port)
        except OSError:
            if not port:
                raise
            self._server = await self._loop.create_server(lambda: NearEnd(self), LOCAL_HOST, 0)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    @property
    def is_open(self) -> bool:
        """Whether it listens and its connection stands."""
        return self._server is not None and not self.connection.is_closed()

    def close(self) -> None:
        """Stop listening, and hang up on everybody."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for end in tuple(self._ends):
            end.hang_up()

    async def look(self) -> None:
        """Get through to the other end and back.

        Raises:
            OSError: That was not possible; says why.
        """
        channel, _ = await self.open_channel(_Nothing)
        channel.close()

    async def open_channel(
        self, session: Callable[[], asyncssh.SSHTCPSession[bytes]], origin: tuple[str, int] = ("", 0)
    ) -> tuple[Channel, asyncssh.SSHTCPSession[bytes]]:
        """Open a channel to the instance's port.

        Raises:
            OSError: The other end refuses, is silent, or is no longer there.
        """
        opening = asyncio.ensure_future(
            self.connection.create_connection(
                session, REMOTE_HOST, self.remote_port, *origin, window=_WINDOW, max_pktsize=_LARGEST_PACKET
            )
        )
        try:
            done, _ = await asyncio.wait({opening}, timeout=OPEN_S)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_late)
            raise
        if not done:  # a request to open cannot be taken back
            opening.add_done_callback(_close_late)
            raise TimeoutError("the other end does not answer")
        try:
            return opening.result()
        except (asyncssh.Error, OSError) as error:
            raise OSError(_reason(error)) from error

    def admit(self, end: "NearEnd") -> bool:
        """Take in a new connection, if there is room."""
        if len(self._ends) >= MAX_CONNECTIONS:
            return False
        self._ends.add(end)
        return True

    def forget(self, end: "NearEnd") -> None:
        """Let go of a connection that has ended."""
        self._ends.discard(end)


class NearEnd(asyncio.Protocol):
    """This machine's end of one connection."""

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._channel: Channel | None = None
        self._opening: asyncio.Task[None] | None = None
        self._early: list[bytes] = []
        """What came before the channel was open."""
        self._is_reading = True
        self._is_full = False
        """Whether the channel takes nothing right now."""
        self._has_ended = False
        self._far_has_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        with contextlib.suppress(OSError, AttributeError):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tunnel.admit(self):
            self._opening = asyncio.ensure_future(self._open())
        else:
            self._transport.abort()

    async def _open(self) -> None:
        origin = self._transport.get_extra_info("peername") or ("", 0)
        try:
            channel, _ = await self._tunnel.open_channel(lambda: FarEnd(self, self._tunnel.count), origin[:2])
        except OSError:
            self._transport.abort()  # a reset tells the caller at once that nobody is there
            return
        self._channel = channel
        if self._transport.is_closing():
            channel.close()
            return
        with contextlib.suppress(OSError):
            for data in self._early:
                channel.write(data)
            if self._has_ended:
                channel.write_eof()
        self._early.clear()
        if not self._is_full:
            self._read_on()

    def data_received(self, data: bytes) -> None:
        self._tunnel.count(len(data))
        if self._channel is None:
            self._early.append(data)
            self._wait()
            return
        with contextlib.suppress(OSError):  # the channel is being closed; we are told in a moment
            self._channel.write(data)

    def eof_received(self) -> bool:
        self._has_ended = True
        if self._channel is not None:
            with contextlib.suppress(OSError):
                self._channel.write_eof()
        return not self._far_has_ended

    def pause_writing(self) -> None:
        if self._channel is not None:
            self._channel.pause_reading()

    def resume_writing(self) -> None:
        if self._channel is not None:
            self._channel.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._tunnel.forget(self)
        if self._opening is not None:
            self._opening.cancel()
        if self._channel is not None:
            if exc is None:
                self._channel.close()
            else:
                self._channel.abort()

    def hang_up(self) -> None:
        """Close at once."""
        self._transport.abort()

    # what the far end tells

    def take(self, data: bytes) -> None:
        """Send on what the instance sent."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def end(self) -> None:
        """Send on that the instance has said everything."""
        self._far_has_ended = True
        if self._has_ended:
            self._transport.close()
        elif not self._transport.is_closing():
            with contextlib.suppress(OSError):
                self._transport.write_eof()

    def close(self, error: Exception | None) -> None:
        """Close when everything was sent on; at once when the channel broke."""
        if error is None:
            self._transport.close()
        else:
            self._transport.abort()

    def wait(self) -> None:
        """Read no more for now."""
        self._is_full = True
        self._wait()

    def read_on(self) -> None:
        """Read again."""
        self._is_full = False
        self._read_on()

    def _wait(self) -> None:
        if self._is_reading:
            self._is_reading = False
            if not self._transport.is_closing():
                self._transport.pause_reading()

    def _read_on(self) -> None:
        if not self._is_reading:
            self._is_reading = True
            if not self._transport.is_closing():
                self._transport.resume_reading()


class FarEnd(asyncssh.SSHTCPSession[bytes]):
    """The instance's end of one connection."""

    def __init__(self, near: NearEnd, count: Callable[[int], None]) -> None:
        self._near = near
        self._count = count

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:  # noqa: ARG002 - its signature
        self._count(len(data))
        self._near.take(data)

    def eof_received(self) -> bool:
        self._near.end()
        return True

    def pause_writing(self) -> None:
        self._near.wait()

    def resume_writing(self) -> None:
        self._near.read_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._near.close(exc)


class _Nothing(asyncssh.SSHTCPSession[bytes]):
    """Takes what comes, and answers nothing."""


def _close_late(opening: "asyncio.Future[tuple[Channel, asyncssh.SSHTCPSession[bytes]]]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[0].close()


def _reason(error: Exception) -> str:
    """Say in the words of the other end why it did not open a channel."""
    if isinstance(error, asyncssh.ChannelOpenError):
        return error.reason.lower() or "refused"
    return str(error) or type(error).__name__
