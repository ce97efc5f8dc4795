"""The server's end of sockets, where uvicorn's own does not do: a stop in good order.

uvicorn closes every socket at once, with 1012. Here the application hears of it first, by a disconnect that is marked
`DRAINING`: it finishes what it has read, and closes with 1001. Of half-open peers TCP tells (`shoal.http.server`).
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

DRAINING = "shoal.draining"
"""Marks the disconnect by which the server says that it stops; the socket is still open then."""
MAX_FRAGMENTS = 1024
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
        if len(self.frames) >= MAX_FRAGMENTS:
            self.conn.fail(1009, "too many fragments")
            self.handle_parser_exception()
        else:
            super().handle_cont(event)


class SocketHttp(HttpToolsProtocol):
    """HTTP that becomes a `PatientWebSocket`: what `Built.http` takes."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.ws_protocol_class = PatientWebSocket
