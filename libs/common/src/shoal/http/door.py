"""The door of a service: what happens to every request before a controller sees it, and after.

Raw ASGI around the application: request id, identity, trace, metrics and the canonical log line. A request without a
valid identity goes no further than health; there is no route inside that could forget to ask.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, cast
from uuid import uuid4

import structlog
from litestar import Litestar
from opentelemetry.trace import SpanKind

from shoal.errors import StoppingError, UnauthorizedError
from shoal.http.asgi import ASGIApp, Message, Receive, Scope, Send
from shoal.http.auth import PRINCIPAL
from shoal.http.errors import REQUEST_ID, send_refusal
from shoal.identity import HEADER, IdentityError, Principal, Verifier
from shoal.telemetry import Metrics, Tracing

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
MAX_REQUEST_ID = 128
_INTERNAL_ERROR = 1011
"""The close code of a WebSocket whose handler failed (RFC 6455)."""
_TICKET = re.compile(r"/~[^/]+")
"""A segment of a path that is itself a credential: whoever knows it may come in."""


Raw = Callable[[str], ASGIApp | None]
"""Finds what serves a path without the application's help; None for all others."""


class Door:
    """Lets in who proves who they are."""

    def __init__(
        self,
        app: Litestar,
        *,
        verifier: Verifier,
        metrics: Metrics,
        tracing: Tracing,
        service: str,
        log_requests: bool,
        raw: Raw = lambda _: None,
    ) -> None:
        self.inside = app
        self._serve_inside = cast(ASGIApp, app)
        self._verifier = verifier
        self._metrics = metrics
        self._tracing = tracing
        self._service = service
        self._log_requests = log_requests
        self._raw = raw

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] not in {"http", "websocket"} or scope["path"] in OPEN_PATHS:
            await self._serve_inside(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = _request_id(headers)
        scope[REQUEST_ID] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(service=self._service, request_id=request_id)
        try:
            principal = self._verifier.verify(headers.get(HEADER, b"").decode("latin-1"))
        except IdentityError as error:
            structlog.get_logger().warning("identity_refused", path=_printable(scope["path"]), reason=str(error))
            await _refuse(scope, receive, send, request_id)
            return
        scope[PRINCIPAL] = principal
        traceparent = headers.get(b"traceparent", b"").decode("latin-1") or None
        with self._tracing.span(f"{scope.get('method', 'WS')}", kind=SpanKind.SERVER, parent=traceparent):
            await self._serve(scope, receive, send, principal, request_id)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, principal: Principal, request_id: str) -> None:
        status, started = 0, time.perf_counter()

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode("latin-1"))]
            elif message["type"] == "websocket.close":
                status = message.get("code", 1000)
            await send(message)

        is_socket = scope["type"] == "websocket"
        self._metrics.sockets.inc(is_socket)
        try:
            await (self._raw(scope["path"]) or self._serve_inside)(scope, receive, send_counted)
        except asyncio.CancelledError:  # the server stops, and waits no longer
            if not status and not is_socket:
                await send_refusal(scope, send_counted, StoppingError(), (b"connection", b"close"))
            raise
        finally:
            self._metrics.sockets.dec(is_socket)
            self._account_for(scope, principal, status, time.perf_counter() - started)

    def _account_for(self, scope: Scope, principal: Principal, status: int, seconds: float) -> None:
        """Write the request's metric and its one log line."""
        route = _route(scope)
        method = str(scope.get("method", "WS"))
        if scope["type"] == "http":
            self._metrics.requests.labels(method, route, str(status)).observe(seconds)
        if self._log_requests or _is_fault(scope, status):
            structlog.get_logger().info(
                "http_request" if scope["type"] == "http" else "socket_closed",
                method=method,
                route=route,
                path=_printable(scope["path"]),
                status=status,
                principal=principal.subject,
                duration_ms=round(seconds * 1000, 2),
            )


def _printable(path: str) -> str:
    """Write a path as it may stand in a log."""
    return _TICKET.sub("/~…", path)


def _is_fault(scope: Scope, status: int) -> bool:
    """Tell answers that are our doing: they have a line however quiet the log is."""
    if scope["type"] == "http":
        return status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return status == _INTERNAL_ERROR


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    if given and len(given) <= MAX_REQUEST_ID and given.isascii() and given.replace("-", "").replace("_", "").isalnum():
        return given
    return f"req_{uuid4().hex}"


def _route(scope: Scope) -> str:
    template: Any = scope.get("path_template")
    return str(template) if template else "unmatched"


async def _refuse(scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
    if scope["type"] == "websocket":
        await receive()
    marks = [(b"www-authenticate", b"Bearer"), (b"x-request-id", request_id.encode())]
    await send_refusal(scope, send, UnauthorizedError(), *marks)
