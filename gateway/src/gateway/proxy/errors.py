"""What can go wrong between the caller and an upstream, and how the caller is told.

Codes are canonical lower_snake; the gateway spells them as the route's family does.
"""

from collections.abc import Callable
from math import ceil

from shoal.http.asgi import Scope

Headers = list[tuple[bytes, bytes]]

Refuse = Callable[[Scope, int, str, str], tuple[Headers, bytes]]
"""Writes a refusal (scope, status, code, message) as headers and body."""


class ProxyError(Exception):
    """A request that the proxy answers itself.

    `headers` go out besides those of the error body; `close_code` is what an open WebSocket is told instead.
    """

    status = 502
    code = "upstream_failed"
    message = "The service behind this path failed to answer."
    headers: tuple[tuple[bytes, bytes], ...] = ()
    close_code = 1014

    def __init__(self) -> None:
        super().__init__(self.message)

    def write(self, refuse: Refuse, scope: Scope, added: Headers) -> tuple[Headers, bytes]:
        """Write the refusal out, as headers and body; `added` goes out too where the rest does not say it already."""
        written, body = refuse(scope, self.status, self.code, self.message)
        headers = [*written, *self.headers, (b"content-length", b"%d" % len(body))]
        names = {name for name, _ in headers}
        return headers + [header for header in added if header[0] not in names], body


class UpstreamUnreachableError(ProxyError):
    """No connection could be made: refused, unroutable, or not in time."""

    code = "upstream_unreachable"
    message = "The service behind this path cannot be reached."


class UpstreamLostError(ProxyError):
    """The connection ended before the answer began."""


class InvalidUpstreamResponseError(ProxyError):
    """The upstream answered with what is not HTTP, or not what was asked for."""

    code = "upstream_invalid_response"
    message = "The service behind this path gave an invalid answer."


class UpstreamTimeoutError(ProxyError):
    """The upstream was silent for too long."""

    status = 504
    code = "upstream_timeout"
    message = "The service behind this path did not answer in time."


class CircuitOpenError(ProxyError):
    """The upstream failed again and again and is left alone for a moment."""

    status = 503
    code = "upstream_unavailable"
    message = "The service behind this path is unavailable; try again later."

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.headers = ((b"retry-after", b"%d" % max(1, ceil(retry_after))),)


class UpstreamBusyError(ProxyError):
    """Every connection to the upstream is taken, and so is the waiting room, or the wait was too long."""

    status = 503
    code = "upstream_busy"
    message = "The service behind this path is busy; try again later."
    headers = ((b"retry-after", b"1"),)


class InvalidRequestError(ProxyError):
    """The request's framing or its Connection header is not to be trusted."""

    status = 400
    code = "invalid_request"
    message = "The request is framed ambiguously."
    headers = ((b"connection", b"close"),)


class BodyTooLargeError(ProxyError):
    """The body, or a WebSocket message, exceeds the route's limit."""

    status = 413
    code = "body_too_large"
    message = "The body is larger than this path takes."
    headers = ((b"connection", b"close"),)
    close_code = 1009


class RequestTimeoutError(ProxyError):
    """The caller stopped sending in the middle of a body."""

    status = 408
    code = "request_timeout"
    message = "The rest of the request did not arrive in time."
    headers = ((b"connection", b"close"),)


class CallerGoneError(ProxyError):
    """The caller hung up; nobody is left to be told."""

    code = "caller_gone"


class CallerStalledError(ProxyError):
    """The caller stopped reading its answer."""

    code = "caller_stalled"


class RevokedError(ProxyError):
    """The credential that opened this is no longer good."""

    status = 401
    code = "unauthorized"
    message = "The credential was revoked."
    close_code = 4401


class DrainingError(ProxyError):
    """The gateway is shutting down and its patience is over."""

    status = 503
    code = "shutting_down"
    message = "The gateway is restarting; try again."
    headers = ((b"connection", b"close"), (b"retry-after", b"1"))
    close_code = 1012
