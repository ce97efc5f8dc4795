"""HTTP/1.1 as the edge speaks it: uvicorn's httptools protocol with everything bounded.

httptools refuses ambiguous framing; what it lets through is refused here: heads that are too large, have too many
headers, take too long, lack a Host or have two, or name another origin in the request line. Where no answer has begun,
the caller is told why.
"""

import asyncio
import contextlib
import socket
from math import inf
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.answering import AnsweringCycle
from gateway.proxy.errors import HeadTooLargeError, InvalidRequestError, ProxyError, RequestTimeoutError
from gateway.refusals import Refusals
from shoal.http.asgi import Scope

_TCP_NOTSENT_LOWAT = 25
"""Linux' number; the socket module has no name for it before Python 3.12."""
MAX_UNSENT_BYTES = 128 * 1024


class EdgeProtocol(HttpToolsProtocol):
    """One connection at the edge; `edge_protocol` gives it its bounds."""

    max_header_bytes: ClassVar[int]
    max_headers: ClassVar[int]
    header_timeout_s: ClassVar[float]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._arrived = 0
        """Bytes of the chunk that is being parsed."""
        self._before = 0
        """Bytes of the chunk in which this head began, if another request came before it in there."""
        self._waited_for = 0
        """Bytes that have arrived since then without completing the head."""
        self._is_in_head = True
        self._waits_for_head = False
        """Whether a head has begun to arrive, so that its clock runs."""
        self._is_refused = False
        self._deadline = inf
        self._timer: asyncio.TimerHandle | None = None
        """One a connection, armed again when it fires too early: a timer per request costs as much as its log."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head.

        What a caller has not even been sent yet stays small, so that a service behind us soon feels a slow reader; what
        is on its way to a fast one is not bounded by it.
        """
        super().connection_made(transport)
        with contextlib.suppress(OSError, AttributeError):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, MAX_UNSENT_BYTES)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless the connection is being closed.

        The parser keeps a header to itself until its end, so a head that does not end is noticed here. The clock
        runs only for heads that do not come in one piece.
        """
        if self._is_refused:
            return
        self._arrived = len(data)
        if self._is_in_head:
            self._waited_for += self._arrived
        super().data_received(data)
        if self._is_in_head and self._waited_for:
            if self._waited_for > self.max_header_bytes:
                self._refuse(HeadTooLargeError())
            elif not self._waits_for_head:
                self._wait_for_head()

    def on_headers_complete(self) -> None:
        """Let a complete head in, or refuse it."""
        self._is_in_head = self._waits_for_head = False
        self._deadline = inf
        if self._is_refused:
            return
        headers = self.headers
        if self._waited_for + self._before > self.max_header_bytes and self._is_too_large():
            self._refuse(HeadTooLargeError())
        elif len(headers) > self.max_headers:
            self._refuse(HeadTooLargeError("The request has too many headers."))
        elif [name for name, _ in headers].count(b"host") != 1:
            self._refuse(InvalidRequestError("A request has exactly one Host."))
        elif not self.url.startswith(b"/"):
            self._refuse(InvalidRequestError("The request line names a path and nothing else."))
        elif self.parser.should_upgrade() and self._should_upgrade() and not self._is_plain_get():
            self._refuse(InvalidRequestError("A socket is opened by a GET without a body."))
        else:
            super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Let a request be answered in our way; uvicorn has no other place to say so."""
        cycle.__class__ = AnsweringCycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the body's end; what follows is the next head."""
        self._is_in_head = True
        self._waited_for, self._before = 0, self._arrived
        if not self._is_refused:
            super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, unless its head was refused."""
        if not self._is_refused:
            super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self._refuse(InvalidRequestError(msg))

    def _is_plain_get(self) -> bool:
        """Tell whether nothing stands between this head and the change of protocols, which has no clock."""
        framing = {b"transfer-encoding", b"content-length"}
        return self.parser.get_method() == b"GET" and not any(
            name in framing and value != b"0" for name, value in self.headers
        )

    def _is_too_large(self) -> bool:
        """Count the head exactly: what arrived with it may have been a body."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > self.max_header_bytes

    def on_response_complete(self) -> None:
        """Go on to the next request: begin it if it is here, else wait for it."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif not self._waits_for_head:
            self._expect(self.timeout_keep_alive)

    def _wait_for_head(self) -> None:
        self._waits_for_head = True
        self._expect(self.header_timeout_s)

    def _expect(self, seconds: float) -> None:
        """Give the caller so long for what comes next."""
        self._deadline = self.loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= self._deadline:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(self._deadline, self._look)

    def _look(self) -> None:
        """Look at the clock: refuse a head that is late, close a connection that nobody uses."""
        self._timer = None
        if self.loop.time() < self._deadline:
            if self._deadline < inf:
                self._timer = self.loop.call_at(self._deadline, self._look)
        elif self._waits_for_head:
            self._refuse(RequestTimeoutError("The head of the request did not arrive in time."))
        else:
            self.transport.close()

    def _refuse(self, error: ProxyError) -> None:
        """Answer and close; what else the caller has sent is not read."""
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self._answer(error, {"headers": ()})
        elif cycle.more_body and not (cycle.response_started or self.pipeline):
            self._answer(error, {**cycle.scope})
            cycle.disconnected = True  # whoever works on it learns that the caller is gone
            cycle.message_event.set()
        self.transport.close()  # and never a word into an answer that is on its way

    def _answer(self, error: ProxyError, scope: Scope) -> None:
        headers, body = error.write(Refusals().write, scope, [])
        lines = [b"%b: %b\r\n" % header for header in headers]
        self.transport.write(b"".join((STATUS_LINE[error.status], *lines, b"\r\n", body)))


def edge_protocol(*, max_header_bytes: int, max_headers: int, header_timeout_s: float) -> type[EdgeProtocol]:
    """Give the protocol its bounds."""
    bounds = {
        "max_header_bytes": max_header_bytes,
        "max_headers": max_headers,
        "header_timeout_s": header_timeout_s,
    }
    return type("BoundedEdgeProtocol", (EdgeProtocol,), bounds)
