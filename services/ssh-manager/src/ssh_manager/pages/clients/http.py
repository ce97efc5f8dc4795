"""One HTTP request through a tunnel, both ways streamed, and no faster than either side takes it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpcore

from shoal.http.asgi import Receive, Scope, Send
from shoal.tasks import end
from ssh_manager.pages.domain import Place, Stay, to_browser, to_page
from ssh_manager.pages.errors import PageTimeoutError, PageUnreachableError
from ssh_manager.ports import TunnelState

LOCAL_HOST = b"127.0.0.1"
CONNECT_S, WRITE_S = 10.0, 60.0
SILENT_S = 75.0
"""How long a page may be silent; the gateway loses its patience sooner."""
SUCCESS = 200
_TIMEOUTS = {"connect": CONNECT_S, "read": SILENT_S, "write": WRITE_S, "pool": CONNECT_S}
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})


class HttpPages:
    """Carries requests."""

    def __init__(self) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=1000, max_keepalive_connections=50, keepalive_expiry=5.0
        )

    async def carry(
        self,
        place: Place,
        tunnel: TunnelState,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        stay: Stay,
    ) -> None:
        """Answer a request with the page's answer; breaks it off when the caller hangs up or the stay ends.

        Raises:
            PageUnreachableError: Nobody answers at the other end of the tunnel.
            PageTimeoutError: Not in time.
        """
        body = _Body(scope, receive)
        answering = asyncio.ensure_future(self._answer(place, tunnel, scope, send, body))
        watching = [asyncio.ensure_future(body.until_gone()), asyncio.ensure_future(stay.ended.wait())]
        try:
            await asyncio.wait({answering, *watching}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                answering.result()
        finally:
            await end([answering, *watching])

    async def close(self) -> None:
        """Close what is kept open."""
        await self._pool.aclose()

    async def _answer(self, place: Place, tunnel: TunnelState, scope: Scope, send: Send, body: "_Body") -> None:
        host = f"localhost:{tunnel.remote_port}"
        request = httpcore.Request(
            scope["method"],
            httpcore.URL(scheme=b"http", host=LOCAL_HOST, port=tunnel.local_port, target=place.rest.encode("latin-1")),
            headers=[*to_page(scope["headers"], place, host), *body.framing],
            content=body if body.is_there else None,
            extensions={"timeout": _TIMEOUTS},
        )
        response = await self._ask(request, is_repeatable=not body.is_there and scope["method"] in _REPEATABLE)
        try:
            if response.status < SUCCESS:  # it switches to something that nobody asked for
                raise PageUnreachableError
            headers = to_browser(response.headers, place, host)
            await send({"type": "http.response.start", "status": response.status, "headers": headers})
            with contextlib.suppress(httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException):
                async for part in response.aiter_stream():
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        finally:
            await response.aclose()

    async def _ask(self, request: httpcore.Request, *, is_repeatable: bool) -> httpcore.Response:
        """Send a request, once more if a connection that was kept open turns out to be closed."""
        try:
            return await self._pool.handle_async_request(request)
        except httpcore.TimeoutException as error:
            raise PageTimeoutError from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            if not is_repeatable:
                raise PageUnreachableError from error
        return await self._ask(request, is_repeatable=False)


class _Body:
    """A request's body as it comes, and afterwards the news that the caller has gone."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        given = {name.lower(): value for name, value in scope["headers"]}
        length = given.get(b"content-length")
        is_chunked = b"transfer-encoding" in given
        self.is_there = is_chunked or (length is not None and length != b"0")
        """Whether there is one."""
        self.framing: list[tuple[bytes, bytes]] = []
        if is_chunked:
            self.framing = [(b"transfer-encoding", b"chunked")]
        elif length is not None:
            self.framing = [(b"content-length", length)]
        self._receive = receive
        self._is_whole = asyncio.Event()
        self._is_gone = asyncio.Event()
        if not self.is_there:
            self._is_whole.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._is_gone.set()
                await asyncio.Event().wait()  # to be cancelled: half a body must not look like a whole one
            if part := message.get("body", b""):
                yield part
            more = message.get("more_body", False)
        self._is_whole.set()

    async def until_gone(self) -> None:
        """Wait until the caller hangs up."""
        whole, gone = asyncio.ensure_future(self._is_whole.wait()), asyncio.ensure_future(self._is_gone.wait())
        try:
            await asyncio.wait({whole, gone}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                return
        finally:
            await end([whole, gone])
        while (await self._receive())["type"] != "http.disconnect":
            pass
