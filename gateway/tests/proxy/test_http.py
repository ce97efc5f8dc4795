"""What the HTTP proxy promises, over real sockets."""

import asyncio
import contextlib
import json
import socket
import time

import pytest

from gateway.proxy import PoolLimits, Timeouts
from gateway.proxy.errors import (
    BodyTooLargeError,
    CallerGoneError,
    CallerStalledError,
    CircuitOpenError,
    DrainingError,
    InvalidUpstreamResponseError,
    RequestTimeoutError,
    UpstreamLostError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)

MIB = 1024 * 1024
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def mirror(scope, receive, send):
    """Answers with what arrived."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    seen = {
        "method": scope["method"],
        "path": scope["raw_path"].decode(),
        "query": scope["query_string"].decode(),
        "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
        "body": body.decode(),
    }
    content = json.dumps(seen).encode()
    length = (b"content-length", b"%d" % len(content))
    await send({"type": "http.response.start", "status": 200, "headers": [length, (b"server", b"mirror/1")]})
    await send({"type": "http.response.body", "body": content})


async def stay(reader, writer):
    """Takes everything and never answers."""
    while await reader.read(65536):
        pass


def answering(*answers: bytes, then_close=False):
    """Answers each request without a body with the next of `answers`, the last one for ever."""

    async def handle(reader, writer):
        left = list(answers)
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(left[0] if len(left) == 1 else left.pop(0))
            await writer.drain()
            if then_close:
                return

    return handle


# What goes through


async def test_forwards_method_path_query_and_body_untouched(serve, front):
    gateway = await front(await serve(mirror))
    caller = await gateway.caller()
    answer = await caller.ask(b"PATCH /pairing/a%20b/%C3%A9?x=1&x=%2F..", body=b"hello")
    seen = json.loads(answer.body)
    assert answer.status == 200
    assert (seen["method"], seen["path"], seen["query"]) == ("PATCH", "/pairing/a%20b/%C3%A9", "x=1&x=%2F..")
    assert seen["body"] == "hello"
    assert ["content-length", "5"] in seen["headers"]


async def test_reuses_connections(serve, front):
    gateway = await front(await serve(mirror))
    caller = await gateway.caller()
    for _ in range(20):
        assert (await caller.ask(b"GET /pairing")).status == 200
    assert gateway.pool.upstream(gateway.upstream).open == 1


async def test_keeps_duplicate_headers_and_their_order_both_ways(raw, front):
    seen = []

    async def handle(reader, writer):
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nvary: a\r\nlink: 1\r\nvary: b\r\nlink: 2\r\ncontent-length: 0\r\n\r\n")

    gateway = await front((await raw(handle)).address)
    answer = await gateway.get(b"/pairing", b"x-a: 1", b"accept: x", b"x-a: 2")
    assert [name for name, _ in answer.headers[:4]] == [b"vary", b"link", b"vary", b"link"]
    assert answer.all(b"vary") == [b"a", b"b"]
    assert b"x-a: 1\r\naccept: x\r\nx-a: 2\r\n" in seen[0]


async def test_strips_hop_by_hop_and_what_connection_names(serve, front):
    gateway = await front(await serve(mirror))
    answer = await gateway.get(
        b"/pairing", b"connection: close, X-Hop", b"connection: X-Other", b"x-hop: 1", b"x-other: 1", b"te: trailers",
        b"keep-alive: timeout=5", b"proxy-authorization: x", b"x-stays: 1",
    )  # fmt: skip
    names = {name for name, _ in json.loads(answer.body)["headers"]}
    assert names == {"host", "x-stays", "x-shoal-identity"}


async def test_strips_what_callers_say_of_themselves_in_every_spelling(serve, front):
    gateway = await front(await serve(mirror))
    forged = [b"authorization", b"cookie", b"x-shoal-identity", b"X_Shoal_Identity", b"x-shoal_other", b"forwarded"]
    forged += [b"x-forwarded-for", b"X-Forwarded_Host", b"x-real-ip", b"x_real_ip", b"x-request-id", b"traceparent"]
    answer = await gateway.get(b"/pairing", *[name + b": forged" for name in forged])
    assert b"forged" not in answer.body
    headers = json.loads(answer.body)["headers"]
    assert [value for name, value in headers if name == "x-shoal-identity"] == ["signed-by-the-gateway"]


async def test_tells_the_upstream_its_own_host(serve, front):
    gateway = await front(await serve(mirror))
    headers = dict(json.loads((await gateway.get()).body)["headers"])
    assert headers["host"] == "{}:{}".format(*gateway.upstream)


@pytest.mark.parametrize("name", [b"host", b"content-length", b"Cookie", b"x-shoal-identity", b"X-Forwarded-For"])
async def test_refuses_a_connection_header_that_names_what_all_need(serve, front, name):
    gateway = await front(await serve(mirror))
    assert (await gateway.get(b"/pairing", b"connection: " + name)).status == 400


async def test_adds_its_headers_to_the_answer_in_place_of_the_upstreams(raw, front):
    answer = b"HTTP/1.1 200 OK\r\nserver: x\r\nset-cookie: a=b\r\nx-request-id: theirs\r\ncontent-length: 0\r\n\r\n"
    gateway = await front((await raw(answering(answer))).address)
    got = await gateway.get()
    assert got.headers == [(b"content-length", b"0"), (b"x-request-id", b"req_1")]


# Bodies and their framing


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


# Upstreams that break the rules


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\x00b\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\nset-cookie: b\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\r\n folded\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\ncontent-length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
async def test_refuses_an_answer_that_breaks_the_rules(raw, front, until, answer):
    upstream = await raw(answering(answer))
    gateway = await front(upstream.address)
    got = await gateway.get()
    assert (got.status, got.body) == (502, b'{"code": "upstream_invalid_response"}')
    assert got.first(b"x-request-id") == b"req_1"
    assert isinstance(gateway.outcomes[0], InvalidUpstreamResponseError)
    await until(lambda: upstream.ended == 1)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"x" * 50_000,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n186a0\r\n" + b"x" * 100_000 + b"\r\nZZ\r\n",
    ],
)
async def test_never_presents_a_truncated_answer_as_complete(raw, front, answer):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    gateway = await front((await raw(handle)).address)
    with contextlib.suppress(asyncio.IncompleteReadError):
        assert (await gateway.get()).status == 502  # if the end was seen together with the beginning
    assert isinstance(gateway.outcomes[0], (UpstreamLostError, InvalidUpstreamResponseError))


async def test_refuses_for_a_short_answer_that_breaks_off(raw, front):
    gateway = await front(
        (await raw(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", then_close=True))).address
    )
    answer = await gateway.get()
    assert (answer.status, answer.body) == (502, b'{"code": "upstream_failed"}')


async def test_does_not_let_surplus_bytes_become_the_next_answer(raw, front):
    stolen = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstolen"
    upstream = await raw(answering(OK + stolen, OK))
    gateway = await front(upstream.address)
    caller = await gateway.caller()
    assert (await caller.ask(b"GET /pairing")).body == b"ok"
    assert (await caller.ask(b"GET /pairing")).body == b"ok"
    assert upstream.connections == 2


async def test_drops_an_idle_connection_that_speaks(raw, front, until):
    speak = asyncio.Event()

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await speak.wait()
        writer.write(b"HTTP/1.1 408 Slow\r\ncontent-length: 0\r\n\r\n")
        await reader.read()

    upstream = await raw(handle)
    gateway = await front(upstream.address)
    assert (await gateway.get()).status == 200
    speak.set()
    await until(lambda: gateway.pool.upstream(upstream.address).open == 0)


# Time


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


# Callers that leave or do not read


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


# Retries, the breaker, the pool


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
