"""Bodies are streamed both ways, bounded, and framed anew."""

import asyncio
import json
import time

import pytest

from gateway.proxy import Timeouts
from gateway.proxy.errors import (
    BodyTooLargeError,
)

from .upstreams import OK, answering, mirror, stay

MIB = 1024 * 1024


async def test_reframes_a_chunked_body(raw, front):
    seen = asyncio.get_running_loop().create_future()

    async def handle(reader, writer):
        seen.set_result(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(OK)

    gateway = await front((await raw(handle)).address)
    caller = await gateway.caller()
    caller.say(
        b"POST /pairing", b"transfer-encoding: chunked", body=b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nx-tr: 1\r\n\r\n"
    )
    assert (await caller.answer()).status == 200
    head, _, body = (await seen).partition(b"\r\n\r\n")
    assert head.count(b"transfer-encoding: chunked") == 1
    assert b"content-length" not in head
    assert body == b"5\r\nabcde\r\n0\r\n\r\n"


async def test_streams_a_body_up_as_it_comes(raw, front):
    got = asyncio.Queue()

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        got.put_nowait(await reader.readexactly(5))
        got.put_nowait(await reader.readexactly(5))
        writer.write(OK)

    gateway = await front((await raw(handle)).address)
    caller = await gateway.caller()
    caller.say(b"POST /pairing", b"content-length: 10", body=b"first")
    assert await got.get() == b"first"
    caller.writer.write(b"other")
    assert await got.get() == b"other"
    assert (await caller.answer()).status == 200


async def test_says_that_an_empty_body_is_empty(raw, front):
    seen = asyncio.get_running_loop().create_future()

    async def handle(reader, writer):
        seen.set_result(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)

    gateway = await front((await raw(handle)).address)
    caller = await gateway.caller()
    assert (await caller.ask(b"POST /pairing", b"content-length: 0")).status == 200
    assert b"content-length: 0\r\n" in await seen


async def test_refuses_a_body_beyond_the_limit_without_asking_the_upstream(raw, front):
    upstream = await raw(stay)
    gateway = await front(upstream.address)
    gateway.change(body_limit=1000)
    caller = await gateway.caller()
    caller.say(b"POST /pairing", b"content-length: 1001")
    answer = await caller.answer()
    assert (answer.status, answer.body) == (413, b'{"code": "body_too_large"}')
    assert answer.first(b"connection") == b"close"
    assert upstream.connections == 0


async def test_stops_a_chunked_body_at_the_limit(raw, front, until):
    upstream = await raw(stay)
    gateway = await front(upstream.address)
    gateway.change(body_limit=1000)
    caller = await gateway.caller()
    caller.say(b"POST /pairing", b"transfer-encoding: chunked", body=b"a\r\n" + b"x" * 10 + b"\r\n")
    await until(lambda: upstream.connections == 1)
    caller.writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
    assert (await caller.answer()).status == 413
    await until(lambda: upstream.ended == 1)
    assert isinstance(gateway.outcomes[0], BodyTooLargeError)


async def test_passes_on_an_answer_that_comes_before_the_body_has_ended(raw, front, until):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno")
        await reader.read()

    upstream = await raw(handle)
    gateway = await front(upstream.address)
    caller = await gateway.caller()
    caller.say(b"POST /pairing", b"content-length: 1000", body=b"begun")
    answer = await caller.answer()
    assert (answer.status, answer.body) == (403, b"no")
    await until(lambda: upstream.ended == 1)  # never reused, for the rest of the body would be its next request


async def test_passes_on_large_bodies_whole(serve, front):
    async def echo(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})

    gateway = await front(await serve(echo))
    gateway.change(body_limit=64 * MIB)
    caller = await gateway.caller()
    content = b"0123456789abcdef" * (MIB // 2)
    answering = asyncio.create_task(caller.answer())
    caller.say(b"PUT /pairing", b"content-length: %d" % len(content), body=content)
    assert (await answering).body == content


async def test_streams_events_as_they_come_and_without_a_total(raw, front):
    next_event = asyncio.Event()

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(3):
            await next_event.wait()
            next_event.clear()
            writer.write(b"9\r\ndata: 1\n\n\r\n")
        writer.write(b"0\r\n\r\n")

    gateway = await front((await raw(handle)).address, timeouts=Timeouts(total=0.1))
    caller = await gateway.caller()
    caller.say(b"GET /pairing")
    assert (await caller.head()).status == 200  # before any event
    for _ in range(3):
        next_event.set()
        started = time.perf_counter()
        assert await caller.chunk() == b"data: 1\n\n"
        assert time.perf_counter() - started < 0.05
        await asyncio.sleep(0.1)
    assert await caller.chunk() == b""


async def test_passes_on_a_body_that_ends_with_the_connection(raw, front):
    handle = answering(b"HTTP/1.1 200 OK\r\n\r\nall there is", then_close=True)

    async def graceful(reader, writer):
        await handle(reader, writer)
        writer.close()
        await writer.wait_closed()

    gateway = await front((await raw(graceful)).address)
    assert (await gateway.get()).body == b"all there is"


@pytest.mark.parametrize(
    ("line", "answer", "status"),
    [
        (b"HEAD /pairing", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", 200),
        (b"GET /pairing", b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"GET /pairing", b'HTTP/1.1 304 Not Modified\r\netag: "x"\r\ncontent-length: 5\r\n\r\n', 304),
        (b"GET /pairing", b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK, 200),
    ],
)
async def test_understands_answers_without_a_body_and_interim_ones(raw, front, line, answer, status):
    upstream = await raw(answering(answer))
    gateway = await front(upstream.address)
    caller = await gateway.caller()
    for _ in range(3):
        assert (await caller.ask(line)).status == status
    assert upstream.connections == 1


async def test_answers_expect_continue_itself(serve, front):
    gateway = await front(await serve(mirror))
    caller = await gateway.caller()
    caller.say(b"POST /pairing", b"expect: 100-continue", b"content-length: 2")
    assert (await caller.head()).status == 100
    caller.writer.write(b"hi")
    seen = json.loads((await caller.answer()).body)
    assert seen["body"] == "hi"
    assert "expect" not in dict(seen["headers"])
