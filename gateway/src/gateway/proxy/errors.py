"""What can go wrong between the caller and an upstream, and how the caller is told."""

from collections.abc import Callable
from math import ceil
from typing import ClassVar

from shoal.errors import AppError
from shoal.http.asgi import Headers, Scope

Refuse = Callable[[Scope, AppError], tuple[Headers, bytes]]
"""Writes a refusal as headers and body, in the spelling of the route's family."""
_CLOSE = (b"connection", b"close")


class ProxyError(AppError):
    """The service behind this path failed to answer.

    `headers` go out besides those of the error body; `close_code` is what an open WebSocket is told instead.
    """

    status: ClassVar[int] = 502
    code = "upstream_failed"
    headers: ClassVar[tuple[tuple[bytes, bytes], ...]] = ()
    close_code: ClassVar[int] = 1014

    def write(self, refuse: Refuse, scope: Scope, added: Headers) -> tuple[Headers, bytes]:
        """Write the refusal out, as headers and body; `added` goes out too where the rest does not say it already."""
        written, body = refuse(scope, self)
        headers = [*written, *self.headers, (b"content-length", b"%d" % len(body))]
        names = {name for name, _ in headers}
        return headers + [header for header in added if header[0] not in names], body


class UpstreamUnreachableError(ProxyError):
    """The service behind this path cannot be reached.

    No connection could be made: refused, unroutable, or not in time.
    """

    code = "upstream_unreachable"


class UpstreamLostError(ProxyError):
    """The service behind this path failed to answer.

    The connection ended before the answer began.
    """


class InvalidUpstreamResponseError(ProxyError):
    """The service behind this path gave an invalid answer.

    It is not HTTP, or not what was asked for.
    """

    code = "upstream_invalid_response"


class UpstreamTimeoutError(ProxyError):
    """The service behind this path did not answer in time."""

    status = 504
    code = "upstream_timeout"


class CircuitOpenError(ProxyError):
    """The service behind this path is unavailable; try again later.

    It failed again and again and is left alone for a moment.
    """

    status = 503
    code = "upstream_unavailable"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(retry_after_s=ceil(retry_after_s))


class UpstreamBusyError(ProxyError):
    """The service behind this path is busy; try again later.

    Every connection to it is taken, and so is the waiting room, or the wait was too long.
    """

    status = 503
    code = "upstream_busy"

    def __init__(self) -> None:
        super().__init__(retry_after_s=1)


class InvalidRequestError(ProxyError):
    """The request is framed ambiguously."""

    status = 400
    code = "invalid_request"
    headers = (_CLOSE,)


class HeadTooLargeError(ProxyError):
    """The head of the request is too large."""

    status = 431
    code = "headers_too_large"
    headers = (_CLOSE,)


class BodyTooLargeError(ProxyError):
    """A body, or a message on a WebSocket, is larger than this path takes.

    Args:
        limit: How many bytes it takes.
    """

    status = 413
    code = "body_too_large"
    headers = (_CLOSE,)
    close_code = 1009

    def __init__(self, limit: int) -> None:
        super().__init__(f"This is larger than the {limit} bytes that this path takes.")


class RequestTimeoutError(ProxyError):
    """The rest of the request did not arrive in time."""

    status = 408
    code = "request_timeout"
    headers = (_CLOSE,)


class CallerGoneError(ProxyError):
    """The caller hung up; nobody is left to be told."""

    code = "caller_gone"


class CallerStalledError(ProxyError):
    """The caller stopped reading its answer."""

    code = "caller_stalled"


class RevokedError(ProxyError):
    """The credential was revoked."""

    status = 401
    code = "unauthorized"
    close_code = 4401


class DrainingError(ProxyError):
    """The gateway is restarting; try again."""

    status = 503
    code = "shutting_down"
    headers = (_CLOSE,)
    close_code = 1012

    def __init__(self) -> None:
        super().__init__(retry_after_s=1)
