"""Retries, the breaker, the pool of connections, and its end."""

import asyncio
import socket
import time

import pytest

from gateway.proxy import PoolLimits
from gateway.proxy.errors import (
    CircuitOpenError,
    DrainingError,
    UpstreamUnreachableError,
)

from .upstreams import OK, answering, stay


async def test_tries_a_refused_connection_once_more(raw, front):
    with socket.socket() as later:
        later.bind(("127.0.0.1", 0))
        gateway = await front(later.getsockname())
        caller = await gateway.caller()
        caller.say(b"POST /pairing", b"content-length: 1", body=b"x")
        await asyncio.sleep(0.02)  # refused by now, and tried again after 50 ms
        later.listen()
        later.setblocking(False)
        accepted, _ = await asyncio.get_running_loop().sock_accept(later)
        with accepted:
            await asyncio.get_running_loop().sock_recv(accepted, 65536)
            await asyncio.get_running_loop().sock_sendall(accepted, OK)
            assert (await caller.answer()).status == 200


async def dying(reader, writer):
    """Answers once, and dies over the second request before giving a byte."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK)
    await reader.readuntil(b"\r\n\r\n")


async def test_repeats_a_get_that_met_a_dead_kept_alive_connection(raw, front):
    upstream = await raw(dying)
    gateway = await front(upstream.address)
    for _ in range(3):
        assert (await gateway.get()).status == 200
    assert upstream.connections == 3


async def test_never_sends_a_post_twice(raw, front):
    upstream = await raw(dying)
    gateway = await front(upstream.address)
    assert (await gateway.get()).status == 200
    caller = await gateway.caller()
    assert (await caller.ask(b"POST /pairing", b"content-length: 0")).status == 502
    assert upstream.connections == 1


async def test_repeats_no_request_that_got_a_byte_of_an_answer(raw, front):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 2")
        writer.close()
        await writer.wait_closed()

    upstream = await raw(handle)
    gateway = await front(upstream.address)
    assert (await gateway.get()).status == 200
    assert (await gateway.get()).status == 502
    assert upstream.connections == 1


async def test_fails_fast_while_the_upstream_is_away_and_recovers(raw, front, until):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = taken.getsockname()
    gateway = await front(address)
    answers = [await gateway.get() for _ in range(5)]
    assert {answer.status for answer in answers} == {502}
    assert isinstance(gateway.outcomes[0], UpstreamUnreachableError)
    caller = await gateway.caller()
    started = time.perf_counter()
    answer = await caller.ask(b"GET /pairing")
    assert time.perf_counter() - started < 0.01
    assert (answer.status, answer.first(b"retry-after")) == (503, b"1")
    assert isinstance(gateway.outcomes[-1], CircuitOpenError)
    await raw(answering(OK), address[1])
    async with asyncio.timeout(2):
        while (await caller.ask(b"GET /pairing")).status != 200:
            await asyncio.sleep(0.02)
    assert {(await caller.ask(b"GET /pairing")).status for _ in range(5)} == {200}


async def test_bounds_connections_and_those_who_wait_for_one(raw, front, until):
    release = asyncio.Event()

    async def handle(reader, writer):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await release.wait()
            writer.write(OK)

    upstream = await raw(handle)
    gateway = await front(upstream.address, limits=PoolLimits(connections=1, waiting=1, wait=0.2))
    served = asyncio.create_task(gateway.get())
    await until(lambda: upstream.connections == 1)
    started = time.perf_counter()
    waiting = asyncio.create_task(gateway.get())
    await until(lambda: gateway.http.active == 2)
    turned_away = await gateway.get()
    assert (turned_away.status, turned_away.first(b"retry-after")) == (503, b"1")
    assert (await waiting).status == 503
    assert 0.2 <= time.perf_counter() - started < 0.45
    waiting = asyncio.create_task(gateway.get())
    await until(lambda: gateway.http.active == 2)
    release.set()
    assert (await served).status == (await waiting).status == 200
    assert upstream.connections == 1


async def test_a_lost_connection_makes_room_for_who_waits(raw, front, until):
    upstream = await raw(stay)
    gateway = await front(upstream.address, limits=PoolLimits(connections=1))
    first, second = await gateway.caller(), await gateway.caller()
    first.say(b"GET /pairing")
    await until(lambda: upstream.connections == 1)
    second.say(b"GET /pairing")
    await until(lambda: gateway.http.active == 2)
    first.hang_up()
    await until(lambda: upstream.connections == 2)


async def test_closes_connections_that_nobody_uses(raw, front, until):
    upstream = await raw(answering(OK))
    gateway = await front(upstream.address, limits=PoolLimits(idle=0.2))
    await asyncio.gather(*(gateway.get() for _ in range(5)))
    assert gateway.pool.upstream(upstream.address).idle == upstream.connections
    await until(lambda: upstream.ended == upstream.connections)
    assert gateway.pool.upstream(upstream.address).open == 0


# The end


async def test_close_waits_for_what_is_under_way(raw, front, until):
    release = asyncio.Event()

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await release.wait()
        writer.write(OK)
        await reader.read()

    upstream = await raw(handle)
    gateway = await front(upstream.address)
    asked = asyncio.create_task(gateway.get())
    await until(lambda: upstream.connections == 1)
    closing = asyncio.create_task(gateway.http.close(3))
    await asyncio.sleep(0.05)
    assert not closing.done()
    release.set()
    assert (await asked).status == 200
    await closing
    await until(lambda: upstream.ended == 1)


async def test_close_interrupts_what_outstays_it(raw, front, until):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        await reader.read()

    upstream = await raw(handle)
    gateway = await front(upstream.address)
    caller = await gateway.caller()
    caller.say(b"GET /pairing")
    await caller.head()
    await gateway.http.close(0.1)
    with pytest.raises(asyncio.IncompleteReadError):
        await caller.chunk()
    assert isinstance(gateway.outcomes[0], DrainingError)
    await until(lambda: upstream.ended == 1)
