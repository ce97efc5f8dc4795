"""One request or socket on its way in, and what has been found out about it."""

import itertools
import re
import time
from uuid import uuid4

from gateway.authentication import Known
from gateway.routes import Route
from shoal.http.asgi import Scope

_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{1,128}").fullmatch
_TRACEPARENT = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}").fullmatch

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class RequestIds:
    """Names requests that come without a name: unique, and cheaper than random ones."""

    def __init__(self) -> None:
        self._prefix = f"req_{uuid4().hex[:20]}_".encode()
        self._numbers = itertools.count(1)

    def next(self) -> bytes:
        """Make the next one."""
        return self._prefix + b"%x" % next(self._numbers)


class Visit:
    """What every step on the way in reads and writes; slots, since there is one per request."""

    __slots__ = (
        "headers", "is_socket", "known", "method", "path", "request_id", "route", "scope", "secret", "source",
        "started", "status", "subprotocols", "token_to_keep",
    )  # fmt: skip

    known: Known
    route: Route

    def __init__(self, scope: Scope, ids: RequestIds) -> None:
        self.scope = scope
        self.started = time.perf_counter()
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self.headers.get(b"x-request-id")
        self.request_id = given if given is not None and _REQUEST_ID(given) else ids.next()
        self.path: bytes = scope.get("raw_path") or b""
        """As it stood in the request line."""
        self.is_socket = scope["type"] == "websocket"
        self.method: str = "WS" if self.is_socket else self.scope["method"]
        self.source = ""
        self.secret: bytes | None = None
        """The credential that was sent on purpose, if one was."""
        self.status = 0
        self.subprotocols: list[str] | None = None
        """What a socket's caller offers besides a credential; None when it offered none."""
        self.token_to_keep: bytes | None = None
        """A token of the web chat that came without its cookie."""

    @property
    def is_unsafe(self) -> bool:
        """Whether the method changes something."""
        return not self.is_socket and self.method not in SAFE_METHODS

    @property
    def traceparent(self) -> bytes | None:
        """The caller's place in a trace, if it named one."""
        given = self.headers.get(b"traceparent")
        return given if given is not None and _TRACEPARENT(given) else None
