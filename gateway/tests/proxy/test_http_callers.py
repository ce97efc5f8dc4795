"""Callers that leave, stop making sense, or do not read."""

import asyncio
import socket
import time

import pytest

from gateway.proxy import Timeouts
from gateway.proxy.errors import (
    CallerGoneError,
    CallerStalledError,
    UpstreamTimeoutError,
)

from .upstreams import stay

MIB = 1024 * 1024


async def test_closes_the_upstream_at_once_when_the_caller_leaves_before_the_answer(raw, front, until):
    upstream = await raw(stay)
    gateway = await front(upstream.address)
    caller = await gateway.caller()
    caller.say(b"GET /pairing")
    await until(lambda: upstream.connections == 1)
    caller.hang_up()
    started = time.perf_counter()
    await until(lambda: upstream.ended == 1)
    assert time.perf_counter() - started < 0.2
    assert isinstance(gateway.outcomes[0], CallerGoneError)
    assert gateway.http.active == 0


async def test_closes_the_upstream_at_once_when_the_caller_leaves_a_stream(raw, front, until):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n")
        await reader.read()

    upstream = await raw(handle)
    gateway = await front(upstream.address)
    caller = await gateway.caller()
    caller.say(b"GET /pairing")
    await caller.head()
    caller.hang_up()
    await until(lambda: upstream.ended == 1, 0.5)


async def test_never_presents_a_truncated_request_as_complete(raw, front, until):
    got = []

    async def handle(reader, writer):
        got.append(await reader.read())

    upstream = await raw(handle)
    gateway = await front(upstream.address)
    caller = await gateway.caller()
    caller.say(b"POST /pairing", b"transfer-encoding: chunked", body=b"5\r\nabcde\r\n")
    await until(lambda: upstream.connections == 1)
    caller.hang_up()
    await until(lambda: upstream.ended == 1)
    assert not got or not got[0].endswith(b"0\r\n\r\n")


async def test_answers_400_and_leaves_the_upstream_when_a_body_stops_making_sense(raw, front, until):
    upstream = await raw(stay)
    gateway = await front(upstream.address)
    caller = await gateway.caller()
    caller.say(b"POST /pairing", b"transfer-encoding: chunked", body=b"5\r\nabcde\r\n")
    await until(lambda: upstream.connections == 1)
    caller.writer.write(b"zz\r\n")
    refused = await caller.answer()
    assert (refused.status, refused.first(b"connection")) == (400, b"close")
    assert b'"invalid_request"' in refused.body
    assert await caller.reader.read() == b""
    await until(lambda: upstream.ended == 1)
    assert isinstance(gateway.outcomes[0], CallerGoneError)


async def test_reads_an_answer_no_faster_than_the_caller(raw, front, until):
    sent = 0

    async def handle(reader, writer):
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while sent < 200 * MIB:
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()
            sent += 65536

    upstream = await raw(handle)
    gateway = await front(upstream.address, timeouts=Timeouts(idle=0.5))
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        slow.connect(gateway.address)
        slow.sendall(b"GET /pairing HTTP/1.1\r\nhost: x\r\n\r\n")
        await until(lambda: bool(gateway.outcomes))  # given up after `idle`
    assert isinstance(gateway.outcomes[0], CallerStalledError)
    assert sent < 32 * MIB  # the kernel's buffers
    await until(lambda: upstream.ended == 1)


async def test_reads_a_body_no_faster_than_the_upstream(raw, front, until):
    released = asyncio.Event()

    async def handle(reader, writer):
        await released.wait()
        while await reader.read(MIB):
            pass

    upstream = await raw(handle)
    gateway = await front(upstream.address, timeouts=Timeouts(idle=0.5))
    gateway.change(body_limit=1024 * MIB)
    caller = await gateway.caller()
    caller.say(b"POST /pairing", b"content-length: %d" % (200 * MIB))
    sent = 0

    async def send():
        nonlocal sent
        while True:
            caller.writer.write(b"x" * 65536)
            await caller.writer.drain()
            sent += 65536

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(send(), 0.4)
    assert sent < 32 * MIB
    await until(lambda: bool(gateway.outcomes))
    assert isinstance(gateway.outcomes[0], UpstreamTimeoutError)
    released.set()
