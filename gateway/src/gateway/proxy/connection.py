"""One HTTP/1.1 connection to an upstream."""

# ruff: noqa: D102 - callbacks, as asyncio and httptools name them

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from gateway.proxy.errors import InvalidUpstreamResponseError, ProxyError, UpstreamLostError
from gateway.proxy.flow import Flow
from shoal.http.asgi import Headers

HIGH_WATER = 64 * 1024
"""Bytes of an answer that may lie here unread before the upstream is made to wait."""
_LONGEST_HEAD = 64 * 1024
_SHORT = 16 * 1024
_STATUSES = range(200, 600)


class UpstreamConnection(Flow):
    """Carries one exchange after another: `start`, then `head`, then `more` and `take` until `is_complete`.

    What arrives is parsed at once and kept until it is taken; past `HIGH_WATER` the socket is not read. One
    reader at a time may wait. When the upstream breaks the rules or the connection, the exchange fails with a
    `ProxyError`, after the answer's head too: an answer that is not `is_complete` must never be passed on as
    whole.
    """

    __slots__ = (
        "_chunks", "_error", "_head_size", "_interim", "_on_lost", "_parser", "_size", "exchanges", "has_head",
        "headers", "idle_since", "is_complete", "is_idle", "is_kept_alive", "is_untouched", "status",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, on_lost: Callable[["UpstreamConnection"], None]) -> None:
        super().__init__(loop)
        self._on_lost = on_lost
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: list[bytes] = []
        self._error: ProxyError | None = None
        self._size = self._head_size = 0
        self._interim = False
        self.headers: Headers = []
        self.status = 0
        self.exchanges = 0
        self.idle_since = 0.0
        self.has_head = False
        self.is_complete = False
        self.is_idle = True
        self.is_kept_alive = True
        self.is_untouched = True

    @property
    def is_made(self) -> bool:
        """Whether there has been a connection at all."""
        return self._transport is not None

    @property
    def is_closing(self) -> bool:
        """Whether the connection is of no further use."""
        return self._error is not None or self._transport.is_closing()

    # What the proxy asks for

    def start(self, head: bytes) -> None:
        """Begin an exchange."""
        self.headers = []
        self.exchanges += 1
        self.has_head = self.is_complete = self.is_idle = False
        self.is_untouched = True
        self._head_size = 0
        self._transport.write(head)

    def write(self, data: bytes) -> None:
        """Send a part of the request's body."""
        self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the upstream has taken enough of what was written."""
        if self._is_writing_paused and self._error is None:
            await self._until_taken()

    async def head(self) -> None:
        """Wait for `status` and `headers`, and for all of an answer that says it is short.

        A server that writes head and body apart would otherwise be paid for twice; and a short answer that
        breaks off can still be replaced by a refusal.

        Raises:
            UpstreamLostError: The connection ended first. `is_untouched` tells whether any byte had come.
            InvalidUpstreamResponseError: What came is not an HTTP response.
        """
        while not self.is_complete:
            if self._error is not None:
                raise self._error
            if self.has_head and not self._is_short():
                return
            await self._wait()

    async def more(self) -> None:
        """Wait for more of the body, or its end.

        Raises:
            UpstreamLostError: The connection ended before the body did.
            InvalidUpstreamResponseError: The framing of the body is broken.
        """
        while not self._chunks and not self.is_complete:
            if self._error is not None:
                raise self._error
            await self._wait()

    def take(self) -> bytes:
        """Take what has arrived of the body."""
        chunks = self._chunks
        if not chunks:
            return b""
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._size = 0
        if self._is_reading_paused:
            self._resume_reading()
        return data

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._transport.abort()

    def _fail(self, error: ProxyError) -> None:
        """Note why no more can come, and tell who waits; what is complete stays complete."""
        if self._error is None:
            self._error = error
        self.is_kept_alive = False
        self.resume_writing()
        self._wake()

    # What the event loop tells

    def data_received(self, data: bytes) -> None:
        self.is_untouched = False
        if self.is_idle:  # nobody asked
            self._transport.abort()
            return
        if not self.has_head:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._break()
            return
        if self._head_size > _LONGEST_HEAD and self._is_head_too_long():
            self.is_complete = False
            self._break()
            return
        if self._size > HIGH_WATER and not self._is_reading_paused:
            self._pause_reading()
        if self.is_complete or (self.has_head and not self._is_short()):
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._parser = cast("httptools.HttpResponseParser", None)  # a cycle with self
        if self.has_head and exc is None and self._error is None and not self._is_framed():
            self.is_complete = True
        self._fail(UpstreamLostError())
        self._on_lost(self)

    def _break(self) -> None:
        """Give up a connection whose bytes make no sense; an answer that is complete already stays so."""
        self._fail(InvalidUpstreamResponseError())
        self._transport.abort()

    def _is_head_too_long(self) -> bool:
        """Look closer, since what was counted may be body for the most part."""
        if not self.has_head:
            return True
        self._head_size = 0
        return sum(len(name) + len(value) for name, value in self.headers) > _LONGEST_HEAD

    def _is_short(self) -> bool:
        length = next((value for name, value in self.headers if name == b"content-length"), None)
        return length is not None and int(length) <= _SHORT

    def _is_framed(self) -> bool:
        return any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    # What the parser finds

    def on_message_begin(self) -> None:
        if self.is_complete:  # more than was asked for
            self.is_kept_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.has_head:  # else a trailer, which ends here
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status // 100 == 1 and status != 101:  # noqa: PLR2004 - a switch of protocols was not asked for
            self.headers = []
            self._interim = True
            return
        if self.has_head or status not in _STATUSES:
            raise InvalidUpstreamResponseError
        self.status = status
        self.has_head = True
        self.is_kept_alive = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        if self.is_complete:
            self.is_kept_alive = False
            return
        self._chunks.append(body)
        self._size += len(body)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        else:
            self.is_complete = True
