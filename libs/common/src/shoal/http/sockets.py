"""The server's end of sockets, where uvicorn's own does not do: half-open peers, and a stop in good order.

Half-open: frames may be paused for long, so a protocol ping would cut peers that are well; TCP itself asks instead,
and the kernel ends a connection whose peer answers neither data nor keep-alive probes for `half_open_after` seconds.

Stopping: uvicorn closes every socket at once, with 1012. Here the application hears of it first, by a disconnect that
is marked `DRAINING`: it finishes what it has read, and closes with 1001.
"""

import contextlib
import functools
import socket
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

DRAINING = "shoal.draining"
"""Marks the disconnect by which the server says that it stops; the socket is still open then."""
MOST_FRAGMENTS = 1024
CLOSE_TIMEOUT_S = 2.0


class PatientWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket that is told when the server stops."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.close_timeout = CLOSE_TIMEOUT_S

    def shutdown(self) -> None:
        """Let the application say good-bye; without one, close."""
        if self.handshake_complete and not self.close_sent:
            message = {"type": "websocket.disconnect", "code": 1012, DRAINING: True}
            self.queue.put_nowait(message)  # type: ignore[arg-type]
        else:
            super().shutdown()

    def handle_cont(self, event: Frame) -> None:
        """Take a fragment; a message of very many is an attack."""
        if len(self.frames) >= MOST_FRAGMENTS:
            self.conn.fail(1009, "too many fragments")
            self.handle_parser_exception()
        else:
            super().handle_cont(event)


class SocketHttp(HttpToolsProtocol):
    """HTTP that becomes a `PatientWebSocket`, over TCP that notices when nobody is there."""

    def __init__(self, *, half_open_after_s: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._half_open_after_s = half_open_after_s
        self.ws_protocol_class = PatientWebSocket

    def connection_made(self, transport: Any) -> None:
        """Begin a connection."""
        super().connection_made(transport)
        probe_peer(transport.get_extra_info("socket"), self._half_open_after_s)


def socket_http(half_open_after_s: float) -> Callable[..., SocketHttp]:
    """Make the protocol of a server that holds sockets: what `Built.http` takes."""
    return functools.partial(SocketHttp, half_open_after_s=half_open_after_s)


def probe_peer(connection: socket.socket, half_open_after_s: float) -> None:
    """Let the kernel end a connection whose peer answers nothing for a while."""
    probe_s = max(1, round(half_open_after_s / 4))
    options = (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", probe_s),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", probe_s),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", int(half_open_after_s * 1000)),
    )
    for level, option, value in options:
        with contextlib.suppress(OSError):
            if hasattr(socket, option):  # some systems lack some
                connection.setsockopt(level, getattr(socket, option), value)
