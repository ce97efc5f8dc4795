"""What the WebSocket proxy promises, over real sockets."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import Server, ServerConnection, serve as serve_sockets
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.utils import accept_key

from gateway.proxy import SocketLimits
from gateway.proxy.errors import BodyTooLargeError, CallerStalledError, DrainingError, UpstreamTimeoutError

MIB = 1024 * 1024
Serve = Callable[..., Awaitable[Any]]


@pytest.fixture
async def upstream() -> AsyncIterator[Serve]:
    """Serve a WebSocket handler; returns its address."""
    servers: list[Server] = []

    async def start(handler: Callable[[ServerConnection], Awaitable[None]], **options: Any) -> tuple[str, int]:
        server = await serve_sockets(handler, "127.0.0.1", 0, **options)
        servers.append(server)
        address: tuple[str, int] = next(iter(server.sockets)).getsockname()
        return address

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def watch(connection, ended):
    """Reads until the end and tells how it was: code, reason."""
    with contextlib.suppress(ConnectionClosed):
        async for _ in connection:
            pass
    ended.set_result((connection.close_code, connection.close_reason))


async def closing(connection):
    """Reads until the other side closes; returns its word."""
    with contextlib.suppress(ConnectionClosed):
        async for _ in connection:
            pass
    return connection.protocol.close_rcvd


# Messages


async def test_messages_stay_what_they_are(upstream, front):
    gateway = await front(await upstream(echo))
    async with connect(gateway.url) as caller:
        for message in ("", "text", "über 🦀", b"", b"\x00\xff", "x" * 70_000, b"y" * 300_000):
            await caller.send(message)
            assert await caller.recv() == message
        await caller.send(["frag", "men", "ts"])
        assert await caller.recv() == "fragments"


async def test_fragments_of_the_upstream_become_one_message(upstream, front):
    async def handle(connection):
        await connection.send([b"a", b"b", b"c"])
        await connection.send(["d", "e"])
        await connection.wait_closed()

    gateway = await front(await upstream(handle))
    async with connect(gateway.url) as caller:
        assert await caller.recv() == b"abc"
        assert await caller.recv() == "de"


async def test_many_messages_keep_their_order(upstream, front):
    gateway = await front(await upstream(echo))
    async with connect(gateway.url) as caller:
        for number in range(2000):
            await caller.send(str(number))
        assert [await caller.recv() for _ in range(2000)] == [str(number) for number in range(2000)]


async def test_the_upstreams_pings_are_answered(upstream, front):
    async def handle(connection):
        await (await connection.ping())
        await connection.send("alive")
        await connection.wait_closed()

    gateway = await front(await upstream(handle))
    async with connect(gateway.url) as caller:
        assert await caller.recv() == "alive"


# Handshakes


async def test_handshake_carries_path_and_trusted_headers_only(upstream, front):
    async def handle(connection):
        request = connection.request
        await connection.send(json.dumps([request.path, list(request.headers.raw_items())]))
        await connection.wait_closed()

    gateway = await front(await upstream(handle))
    forged = {"Authorization": "x", "Cookie": "x", "X-Shoal-Identity": "forged", "X_Forwarded_For": "x", "X-Stays": "1"}
    async with connect(gateway.url + "/ws/chat/a%20b?x=1", additional_headers=forged, origin="http://here") as caller:
        path, headers = json.loads(await caller.recv())
    assert path == "/ws/chat/a%20b?x=1"
    names = [name.lower() for name, _ in headers]
    assert not {"authorization", "cookie", "x_forwarded_for", "sec-websocket-extensions"} & set(names)
    assert [value for name, value in headers if name.lower() == "x-shoal-identity"] == ["signed-by-the-gateway"]
    assert {"x-stays", "origin"} <= set(names)
    assert len(names) == len(set(names))


async def test_subprotocol_passes(upstream, front):
    def choose(connection, offered):
        return "base64" if "base64" in offered else None

    gateway = await front(await upstream(echo, select_subprotocol=choose))
    async with connect(gateway.url, subprotocols=["other", "base64"]) as caller:
        assert caller.subprotocol == "base64"
    async with connect(gateway.url) as caller:
        assert caller.subprotocol is None


async def test_a_subprotocol_that_is_a_credential_can_be_kept_back(upstream, front):
    seen = []

    def choose(connection, offered):
        seen.extend(offered)
        return offered[0]

    gateway = await front(await upstream(echo, select_subprotocol=choose))
    gateway.subprotocols = ["bearer"]
    async with connect(gateway.url, subprotocols=["bearer", "secret"]) as caller:
        assert caller.subprotocol == "bearer"
    assert seen == ["bearer"]


async def test_answer_carries_the_gateways_headers(upstream, front):
    gateway = await front(await upstream(echo, server_header="mirror/1"))
    async with connect(gateway.url) as caller:
        assert caller.response.headers["x-request-id"] == "req_1"
        assert "server" not in caller.response.headers
        assert "sec-websocket-extensions" not in caller.response.headers


async def test_the_upstreams_refusal_is_the_callers(upstream, front):
    def refuse(connection, request):
        response = connection.respond(409, "not running\n")
        response.headers["X-Why"] = "stopped"
        return response

    gateway = await front(await upstream(echo, process_request=refuse))
    with pytest.raises(InvalidStatus) as refused:
        await connect(gateway.url).__aenter__()
    response = refused.value.response
    assert (response.status_code, response.body, response.headers["x-why"]) == (409, b"not running\n", "stopped")
    assert response.headers["x-request-id"] == "req_1"


async def refusal(gateway):
    with pytest.raises(InvalidStatus) as refused:
        await connect(gateway.url, proxy=None).__aenter__()
    return refused.value.response.status_code, refused.value.response.body


async def test_an_upstream_that_is_away_is_502_and_then_503(front):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = taken.getsockname()
    gateway = await front(address)
    for _ in range(5):
        assert await refusal(gateway) == (502, b'{"code": "upstream_unreachable"}')
    assert (await refusal(gateway))[0] == 503


async def test_a_frozen_handshake_is_504_in_time(raw, front):
    async def stay(reader, writer):
        await reader.read(1)
        await reader.read()

    gateway = await front((await raw(stay)).address)
    gateway.change(timeout=0.2)
    async with asyncio.timeout(1):
        assert (await refusal(gateway))[0] == 504


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 101 OK\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: wrong\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        b"",
    ],
)
async def test_a_handshake_that_breaks_the_rules_is_502(raw, front, answer):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    gateway = await front((await raw(handle)).address)
    assert (await refusal(gateway))[0] == 502


async def test_a_full_house_is_503(upstream, front):
    gateway = await front(await upstream(echo), sockets=SocketLimits(sockets=1))
    async with connect(gateway.url):
        assert (await refusal(gateway))[0] == 503


# The end of a conversation


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "bye"), (1013, "later"), (4401, "who?"), (4999, "é" * 60)]
)
async def test_the_upstreams_close_passes(upstream, front, code, reason):
    async def handle(connection):
        await connection.send("last")
        await connection.close(code, reason)

    gateway = await front(await upstream(handle))
    async with connect(gateway.url) as caller:
        assert await caller.recv() == "last"
        word = await closing(caller)
    assert (word.code, word.reason) == (code, reason)
    assert gateway.outcomes == [None]


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "bye"), (3000, "app"), (4999, "é" * 60)])
async def test_the_callers_close_passes(upstream, front, code, reason):
    ended = asyncio.get_running_loop().create_future()
    gateway = await front(await upstream(lambda connection: watch(connection, ended)))
    async with connect(gateway.url) as caller:
        await caller.close(code, reason)
    assert await ended == (code, reason)


async def test_a_close_without_a_code_stays_one(upstream, front):
    ended = asyncio.get_running_loop().create_future()
    gateway = await front(await upstream(lambda connection: watch(connection, ended)))
    async with connect(gateway.url) as caller:
        caller.protocol.send_close()
        caller.transport.write(b"".join(caller.protocol.data_to_send()))
        assert await ended == (1005, "")


async def test_a_caller_that_vanishes_is_a_lost_connection_at_once(upstream, front):
    ended = asyncio.get_running_loop().create_future()
    gateway = await front(await upstream(lambda connection: watch(connection, ended)))
    async with connect(gateway.url) as caller:
        await caller.send("hello")
        caller.transport.abort()
        started = time.perf_counter()
        assert await ended == (1006, "")
        assert time.perf_counter() - started < 0.2


async def test_an_upstream_that_vanishes_is_1014(upstream, front):
    async def handle(connection):
        await connection.send("last")
        connection.transport.close()

    gateway = await front(await upstream(handle))
    async with connect(gateway.url) as caller:
        assert await caller.recv() == "last"
        assert (await closing(caller)).code == 1014


@pytest.mark.parametrize(
    "nonsense", [b"\x83\x00", b"\xf1\x01x", b"\x81\x81mask!", b"\x80\x00", b"\x88\x02\x03\xed", b"\x81\x02\xff\xfe"]
)
async def test_an_upstream_that_breaks_the_protocol_is_1014(upstream, front, nonsense):
    async def handle(connection):
        connection.transport.write(nonsense)
        await connection.wait_closed()

    gateway = await front(await upstream(handle))
    async with connect(gateway.url) as caller:
        assert (await closing(caller)).code == 1014


async def test_the_callers_last_messages_arrive_before_its_close(upstream, front):
    got = []

    async def handle(connection):
        await connection.send("x" * 10_000)  # unread by a caller that closes
        with contextlib.suppress(ConnectionClosed):
            got.extend([message async for message in connection])
        ended.set_result(connection.close_code)

    ended = asyncio.get_running_loop().create_future()
    gateway = await front(await upstream(handle))
    async with connect(gateway.url) as caller:
        for number in range(200):
            await caller.send(str(number))
        await caller.close(1001)
        assert await ended == 1001
    assert got == [str(number) for number in range(200)]


async def test_drain_says_1012_to_callers_and_1001_to_upstreams(upstream, front):
    ended = asyncio.get_running_loop().create_future()
    gateway = await front(await upstream(lambda connection: watch(connection, ended)))
    async with connect(gateway.url) as caller:
        await gateway.sockets.close()
        assert (await closing(caller)).code == 1012
        assert (await ended)[0] == 1001
    assert isinstance(gateway.outcomes[0], DrainingError)
    assert gateway.sockets.active == 0


# Bounds


async def test_a_message_of_the_upstream_beyond_the_limit_is_1009(upstream, front):
    async def handle(connection):
        with contextlib.suppress(ConnectionClosed):
            await connection.send(b"x" * 1001)
            await connection.recv()
        ended.set_result(connection.close_code)

    ended = asyncio.get_running_loop().create_future()
    gateway = await front(await upstream(handle), sockets=SocketLimits(message=1000))
    async with connect(gateway.url) as caller:
        assert (await closing(caller)).code == 1009
        assert await ended == 1009


async def test_a_message_of_the_caller_beyond_the_limit_is_1009(upstream, front):
    gateway = await front(await upstream(echo))
    gateway.change(body_limit=1000)
    async with connect(gateway.url) as caller:
        await caller.send(b"x" * 1000)
        assert len(await caller.recv()) == 1000
        await caller.send("é" * 501)
        assert (await closing(caller)).code == 1009
    assert isinstance(gateway.outcomes[0], BodyTooLargeError)


async def test_reads_the_upstream_no_faster_than_the_caller(upstream, front, until):
    sent = 0

    async def handle(connection):
        nonlocal sent
        while sent < 200 * MIB:
            await connection.send(b"x" * 65536)
            sent += 65536

    gateway = await front(await upstream(handle), sockets=SocketLimits(stalled=0.5))
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        slow.connect(gateway.address)
        slow.sendall(
            b"GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await until(lambda: bool(gateway.outcomes), 4)
    assert isinstance(gateway.outcomes[0], CallerStalledError)
    assert sent < 32 * MIB


async def test_reads_the_caller_no_faster_than_the_upstream(raw, front, until):
    async def handle(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.startswith(b"sec-websocket-key"))
        writer.write(accept(key))
        await asyncio.Event().wait()

    gateway = await front((await raw(handle)).address, sockets=SocketLimits(stalled=0.5))
    sent = 0

    async def send(caller):
        nonlocal sent
        while True:
            await caller.send(b"x" * 65536)
            sent += 65536

    async with connect(gateway.url) as caller:
        with pytest.raises((ConnectionClosed, TimeoutError)):
            await asyncio.wait_for(send(caller), 0.4)
        assert sent < 32 * MIB
        await until(lambda: bool(gateway.outcomes))
    assert isinstance(gateway.outcomes[0], UpstreamTimeoutError)


async def test_a_flood_of_pings_gets_pongs_and_nothing_else(upstream, front):
    async def handle(connection):
        for _ in range(1000):
            connection.transport.write(Frame(Opcode.PING, b"").serialize(mask=False))
        await connection.send("done")
        await connection.wait_closed()

    gateway = await front(await upstream(handle))
    async with connect(gateway.url) as caller:
        assert await caller.recv() == "done"


def accept(key: bytes) -> bytes:
    lines = (
        b"HTTP/1.1 101 Switching Protocols",
        b"connection: upgrade",
        b"upgrade: websocket",
        b"sec-websocket-accept: " + accept_key(key.decode()).encode(),
    )
    return b"\r\n".join((*lines, b"", b""))
