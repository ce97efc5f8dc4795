"""Each side of a socket hears how the other ended it, and neither may flood the other."""

import asyncio
import contextlib
import socket
import time

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.utils import accept_key

from gateway.proxy import SocketLimits
from gateway.proxy.errors import BodyTooLargeError, CallerStalledError, DrainingError, UpstreamTimeoutError

from .upstreams import echo, watch

MIB = 1024 * 1024


async def closing(connection):
    """Reads until the other side closes; returns its word."""
    with contextlib.suppress(ConnectionClosed):
        async for _ in connection:
            pass
    return connection.protocol.close_rcvd


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
