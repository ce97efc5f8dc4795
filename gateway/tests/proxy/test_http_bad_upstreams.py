"""Nothing that an upstream sends is passed on as more than it is."""

import asyncio
import contextlib

import pytest

from gateway.proxy.errors import (
    InvalidUpstreamResponseError,
    UpstreamLostError,
)

from .upstreams import OK, answering


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
