"""What carries requests: aiohttp, behind httpx2's door.

httpx2 is what callers speak, and what libraries of providers are given. Its own way to the network takes 0.47 ms of a
processor for a call of a provider, this one, whose parser is compiled, 0.22; and turns wait for it.
"""

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import aiohttp
import httpx2
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from shoal.outgoing.addresses import Address, target

Judge = Callable[[str, int], Awaitable[Sequence[Address]]]

MAX_CONNECTIONS = 100
IDLE_S = 5.0
_MAX_AT_ONCE = 256 * 1024
_MAX_LINE = 32 * 1024
"""How long a header of an answer may be: policies of pages are longer than the 8 KiB that aiohttp takes."""
_OWN_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""What aiohttp would say of itself where a request says nothing."""


class Transport(httpx2.AsyncBaseTransport):
    """Sends requests to addresses that were judged, and to no name.

    Args:
        judge: Finds where a host may be connected to, or refuses by raising.
        tls: Whom TLS trusts.
        connections: How many answers there may be under way; more wait, for as long as the request says.
    """

    def __init__(self, judge: Judge, tls: ssl.SSLContext, *, connections: int = MAX_CONNECTIONS) -> None:
        self._judge = judge
        self._tls = tls
        self._free = asyncio.Semaphore(connections)
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request if its form is one that may be sent; a name is judged when it is connected to."""
        host, port = target(request.url)
        timeouts = request.extensions.get("timeout", {})
        if _is_numeric(host):  # a name may look so too, and is looked up then
            with _told(request, httpx2.ConnectTimeout):
                async with asyncio.timeout(timeouts.get("connect")):
                    await self._judge(host, port)
        with _told(request, httpx2.PoolTimeout):
            async with asyncio.timeout(timeouts.get("pool")):
                await self._free.acquire()
        try:
            with _told(request, httpx2.ReadTimeout):
                answer = await self._send(request, timeouts)
        except BaseException:
            self._free.release()
            raise
        return httpx2.Response(
            answer.status,
            headers=answer.raw_headers,
            stream=_Body(answer, request, self._free.release),
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": (answer.reason or "").encode("ascii", "ignore")},
        )

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def _send(self, request: httpx2.Request, timeouts: Mapping[str, float | None]) -> aiohttp.ClientResponse:
        self._session = self._session or self._opened()
        patience_s = _sum(timeouts)
        async with asyncio.timeout(patience_s) as limit:  # aiohttp waits for ever for who takes no body
            return await self._session.request(
                request.method,
                URL(str(request.url), encoded=True),
                # aiohttp says itself that a body goes in chunks, and refuses to be told so
                headers=[item for item in request.headers.multi_items() if item[0] != "transfer-encoding"],
                data=_content(request, limit, patience_s),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=timeouts.get("connect"), sock_read=timeouts.get("read")
                ),
            )

    def _opened(self) -> aiohttp.ClientSession:
        connector = _Connector(
            limit=0, keepalive_timeout=IDLE_S, ssl=self._tls, resolver=_Resolver(self._judge), use_dns_cache=False
        )
        return aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_OWN_HEADERS,
            trust_env=False,
            max_line_size=_MAX_LINE,
            max_field_size=_MAX_LINE,
        )


class _Connector(aiohttp.TCPConnector):
    """Opens connections, and lends none on which more was said than was asked for: that would be the next answer.

    `_factory` and `_get` are aiohttp's own; tests fail where they move.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._factory = functools.partial(_Connection, loop=self._loop)  # type: ignore[assignment]  # a subclass

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (kept := await super()._get(key, traces)) is not None:
            if kept.protocol is not None and not kept.protocol.should_close:
                break
            kept.close()
        return kept


class _Connection(ResponseHandler):
    """A connection that is over at once when it is closed, whatever of a request its server did not take."""

    def close(self) -> None:
        self.abort()


class _Resolver(AbstractResolver):
    """Gives addresses that were judged."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - aiohttp's own signature
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,  # noqa: PLR2004
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self._judge(host, port)
        ]

    async def close(self) -> None:
        pass


class _Body(httpx2.AsyncByteStream):
    """An answer's bytes as they come; closing it before its end closes the connection."""

    def __init__(self, answer: aiohttp.ClientResponse, request: httpx2.Request, closed: Callable[[], None]) -> None:
        self._answer = answer
        self._request = request
        self._closed = contextlib.ExitStack()
        self._closed.callback(closed)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _told(self._request, httpx2.ReadTimeout):
            async for piece in self._answer.content.iter_any():
                yield piece

    async def aclose(self) -> None:
        self._answer.close()
        self._closed.close()


def _content(request: httpx2.Request, limit: asyncio.Timeout, patience_s: float | None) -> object:
    """Give what a request holds, or what it is read from; much of it goes piece by piece, each in its own time."""
    try:
        content = request.content
    except httpx2.RequestNotRead:
        return _in_time(cast("AsyncIterable[bytes]", request.stream), limit, patience_s)
    return content or None if len(content) <= _MAX_AT_ONCE else _in_time(_parted(content), limit, patience_s)


async def _in_time(
    pieces: AsyncIterable[bytes], limit: asyncio.Timeout, patience_s: float | None
) -> AsyncIterator[bytes]:
    async for piece in pieces:
        if patience_s is not None:
            with contextlib.suppress(RuntimeError):  # an answer came before all was sent
                limit.reschedule(asyncio.get_running_loop().time() + patience_s)
        yield piece


async def _parted(content: bytes) -> AsyncIterator[bytes]:
    for begin in range(0, len(content), _MAX_AT_ONCE):
        yield content[begin : begin + _MAX_AT_ONCE]


def _sum(timeouts: Mapping[str, float | None]) -> float | None:
    """Add up what an answer may take to begin once a piece of its request is on its way; None: for ever."""
    parts = [timeouts.get(part) for part in ("connect", "write", "read")]
    return None if None in parts else sum(part for part in parts if part is not None)


def _is_numeric(host: str) -> bool:
    """Tell whether aiohttp takes a host for an address, and asks nobody for one."""
    return ":" in host or host.replace(".", "").isdigit()


@contextlib.contextmanager
def _told(request: httpx2.Request, timeout: type[httpx2.TimeoutException]) -> Iterator[None]:
    """Tell in httpx2's words what aiohttp says."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx2.ConnectTimeout(str(error), request=request) from error
    except TimeoutError as error:
        raise timeout(str(error), request=request) from error
    except aiohttp.ClientConnectorError as error:
        raise httpx2.ConnectError(str(error.os_error), request=request) from error.os_error
    except aiohttp.ClientOSError as error:
        raise httpx2.ReadError(str(error), request=request) from error
    except aiohttp.ClientError as error:
        raise httpx2.RemoteProtocolError(str(error), request=request) from error
    except OSError as error:
        raise httpx2.ConnectError(str(error), request=request) from error
    except ValueError as error:
        raise httpx2.LocalProtocolError(str(error), request=request) from error
