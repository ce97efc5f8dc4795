"""Nobody waits for ever: not for upstreams, nor for callers."""

import asyncio
import socket
import time

import pytest

from gateway.proxy import PoolLimits, Timeouts
from gateway.proxy.errors import (
    RequestTimeoutError,
    UpstreamTimeoutError,
)

from .upstreams import stay


async def test_answers_504_in_time_when_the_upstream_is_frozen(raw, front, until):
    upstream = await raw(stay)
    gateway = await front(upstream.address)
    gateway.change(timeout=0.3)
    started = time.perf_counter()
    answer = await gateway.get()
    assert answer.status == 504
    assert 0.3 <= time.perf_counter() - started < 0.55
    await until(lambda: upstream.ended == 1)


async def test_answers_504_when_a_sent_body_gets_no_answer(raw, front):
    gateway = await front((await raw(stay)).address)
    gateway.change(timeout=0.2)
    caller = await gateway.caller()
    assert (await caller.ask(b"POST /pairing", body=b"x")).status == 504
    caller.say(b"POST /pairing", b"content-length: 6", body=b"one")
    await asyncio.sleep(0.3)  # longer than the timeout, which is the upstream's and not the caller's
    caller.writer.write(b"two")
    assert (await caller.answer()).status == 504


async def test_answers_504_when_a_connection_takes_too_long(front):
    with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)  # a full backlog drops what comes next
        for taken in (first, second):
            taken.setblocking(False)
            taken.connect_ex(listening.getsockname())
        gateway = await front(listening.getsockname(), limits=PoolLimits(connect=0.2))
        started = time.perf_counter()
        assert (await gateway.get()).status == 504
        assert time.perf_counter() - started < 0.45


async def test_breaks_off_an_answer_that_stops(raw, front):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        await reader.read()

    gateway = await front((await raw(handle)).address, timeouts=Timeouts(idle=0.2))
    caller = await gateway.caller()
    started = time.perf_counter()
    with pytest.raises(asyncio.IncompleteReadError):
        await caller.ask(b"GET /pairing")
    assert 0.2 <= time.perf_counter() - started < 0.45
    assert isinstance(gateway.outcomes[0], UpstreamTimeoutError)


async def test_breaks_off_an_answer_that_takes_too_long_as_a_whole(raw, front):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.02)

    gateway = await front((await raw(handle)).address, timeouts=Timeouts(total=0.2))
    caller = await gateway.caller()
    started = time.perf_counter()
    with pytest.raises(asyncio.IncompleteReadError):
        await caller.ask(b"GET /pairing")
    assert 0.2 <= time.perf_counter() - started < 0.45


async def test_answers_408_when_the_caller_stops_in_a_body(raw, front, until):
    upstream = await raw(stay)
    gateway = await front(upstream.address, timeouts=Timeouts(body=0.2))
    for begun in (b"", b"begun"):
        caller = await gateway.caller()
        caller.say(b"POST /pairing", b"content-length: 10", body=begun)
        assert (await caller.answer()).status == 408
    assert isinstance(gateway.outcomes[0], RequestTimeoutError)
    await until(lambda: upstream.ended == upstream.connections)
