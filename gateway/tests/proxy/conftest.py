"""Real servers for the proxy: a gateway that does nothing but forward, upstreams good and bad, a plain caller."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import uvicorn
import uvloop
from msgspec import structs
from websockets.asyncio.server import Server, ServerConnection, serve as serve_sockets

from gateway.edge import edge_protocol
from gateway.proxy import Address, HttpProxy, Pool, PoolLimits, SocketLimits, Timeouts, WebSocketProxy
from gateway.routes import Route, match
from shoal.http.server import make_server, until_listening

IDENTITY = (b"x-shoal-identity", b"signed-by-the-gateway")
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def event_loop_policy() -> uvloop.EventLoopPolicy:
    return uvloop.EventLoopPolicy()


EDGE = edge_protocol(max_header_bytes=64 * 1024, max_headers=200, header_timeout_s=10)


class Answer:
    """What a caller received."""

    def __init__(self, head: bytes, body: bytes) -> None:
        line, *headers = head.split(b"\r\n")
        self.status = int(line.split()[1])
        self.headers = [tuple(header.split(b": ", 1)) for header in headers if header]
        self.body = body

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name]

    def first(self, name: bytes) -> bytes | None:
        return next(iter(self.all(name)), None)


class Caller:
    """An HTTP/1.1 client that hides nothing: what is not complete is an IncompleteReadError."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, line: bytes, *headers: bytes, body: bytes = b"") -> None:
        """Send a request: `say(b"GET /pairing", b"accept: */*")`."""
        self.writer.write(b"\r\n".join((line + b" HTTP/1.1", b"host: gateway", *headers, b"", body)))

    async def ask(self, line: bytes, *headers: bytes, body: bytes = b"") -> Answer:
        if body:
            headers = (*headers, b"content-length: %d" % len(body))
        self.say(line, *headers, body=body)
        return await self.answer(has_body=not line.startswith(b"HEAD"))

    async def head(self) -> Answer:
        return Answer((await self.reader.readuntil(b"\r\n\r\n"))[:-4], b"")

    async def answer(self, *, has_body: bool = True) -> Answer:
        answer = await self.head()
        if not has_body or answer.status in {204, 304}:
            return answer
        if answer.first(b"transfer-encoding") == b"chunked":
            while part := await self.chunk():
                answer.body += part
        else:
            answer.body = await self.reader.readexactly(int(answer.first(b"content-length") or 0))
        return answer

    async def chunk(self) -> bytes:
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    def hang_up(self) -> None:
        self.writer.transport.abort()


class Gateway:
    """The proxies, served; `route`, `extra` and `answered` are a test's to change."""

    def __init__(self, upstream: Address, limits: PoolLimits, timeouts: Timeouts, sockets: SocketLimits) -> None:
        self.pool = Pool(limits)
        self.http = HttpProxy(self.pool, refuse, timeouts)
        self.sockets = WebSocketProxy(self.pool, refuse, sockets)
        self.upstream = upstream
        self.route: Route = structs.replace(match(b"/pairing"), timeout=5.0, websocket=True)
        self.headers = [IDENTITY]
        self.response_headers = [(b"x-request-id", b"req_1")]
        self.subprotocols: list[str] | None = None
        self.outcomes: list[Any] = []
        self.address: Address = ("", 0)
        self._callers: list[Caller] = []

    @property
    def url(self) -> str:
        return f"ws://{self.address[0]}:{self.address[1]}"

    def change(self, **changes: Any) -> None:
        self.route = structs.replace(self.route, **changes)

    async def __call__(self, scope, receive, send):
        shared = {"upstream": self.upstream, "headers": list(self.headers), "route": self.route,
                  "response_headers": list(self.response_headers)}  # fmt: skip
        if scope["type"] == "websocket":
            outcome = await self.sockets.forward(scope, receive, send, subprotocols=self.subprotocols, **shared)
        else:
            outcome = await self.http.forward(scope, receive, send, **shared)
        self.outcomes.append(outcome)

    async def caller(self) -> Caller:
        caller = Caller(*await asyncio.open_connection(*self.address))
        self._callers.append(caller)
        return caller

    async def stop(self) -> None:
        for caller in self._callers:
            caller.hang_up()
            with contextlib.suppress(OSError):
                await caller.writer.wait_closed()
        await asyncio.gather(self.http.close(0), self.sockets.close())

    async def get(self, target: bytes = b"/pairing", *headers: bytes) -> Answer:
        return await (await self.caller()).ask(b"GET " + target, *headers)


def refuse(scope, error):
    headers = [(b"content-type", b"application/json")]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    return headers, b'{"code": "%b"}' % error.code.encode()


class RawUpstream:
    """A TCP server that a test scripts."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.connections = 0
        self.ended = 0
        self.address: Address = ("", 0)
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._handler(reader, writer)
        finally:
            self.ended += 1
            writer.transport.abort()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Address]]]:
    """Serve an ASGI application with uvicorn."""
    running: list[tuple[uvicorn.Server, asyncio.Task[None]]] = []

    async def start(app: Any, *, http: Any = "httptools", max_frame_bytes: int = 2**24) -> Address:
        server = make_server(
            app, host="127.0.0.1", port=0, drain_timeout_s=1, http=http, max_frame_bytes=max_frame_bytes
        )
        serving = asyncio.create_task(server.serve())
        running.append((server, serving))
        return await until_listening(server, serving)

    yield start
    for server, serving in running:  # at once; a graceful end takes uvicorn 0.2 s
        serving.cancel()
        for listening in server.servers:
            listening.close()
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        for task in list(server.server_state.tasks):
            task.cancel()
        await asyncio.gather(serving, *server.server_state.tasks, return_exceptions=True)


@pytest.fixture
async def raw() -> AsyncIterator[Callable[[Handler], Awaitable[RawUpstream]]]:
    """Serve a scripted TCP handler."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(handler: Handler, port: int = 0) -> RawUpstream:
            upstream = RawUpstream(handler)
            server = await asyncio.start_server(upstream.serve, "127.0.0.1", port)
            stack.callback(server.close)
            stack.push_async_callback(upstream.stop)
            upstream.address = server.sockets[0].getsockname()
            return upstream

        yield start


@pytest.fixture
async def upstream() -> AsyncIterator[Callable[..., Awaitable[Address]]]:
    """Serve a WebSocket handler; returns its address."""
    servers: list[Server] = []

    async def start(handler: Callable[[ServerConnection], Awaitable[None]], **options: Any) -> Address:
        server = await serve_sockets(handler, "127.0.0.1", 0, **options)
        servers.append(server)
        address: Address = next(iter(server.sockets)).getsockname()
        return address

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


@pytest.fixture
async def front(serve: Any) -> AsyncIterator[Callable[..., Awaitable[Gateway]]]:
    """Put a gateway in front of an upstream."""
    gateways: list[Gateway] = []

    async def start(
        upstream: Address,
        *,
        limits: PoolLimits | None = None,
        timeouts: Timeouts | None = None,
        sockets: SocketLimits | None = None,
    ) -> Gateway:
        gateway = Gateway(upstream, limits or PoolLimits(), timeouts or Timeouts(), sockets or SocketLimits())
        gateway.address = await serve(gateway, http=EDGE)
        gateways.append(gateway)
        return gateway

    yield start
    for gateway in gateways:
        await gateway.stop()


@pytest.fixture
def until() -> Iterator[Callable[[Callable[[], bool]], Awaitable[None]]]:
    """Wait for something to become true."""

    async def wait(true: Callable[[], bool], within: float = 3.0) -> None:
        async with asyncio.timeout(within):
            while not true():
                await asyncio.sleep(0.005)

    return wait
