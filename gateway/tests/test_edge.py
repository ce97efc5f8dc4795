"""HTTP at the edge: everything about a head is bounded."""

import asyncio
import json

import pytest

from shoal.testing.suite import ServiceUnderTest, Suite


async def send(gateway: ServiceUnderTest, *parts: bytes, within_s: float = 5) -> bytes:
    """Send parts one after the other; returns all that came back until the connection was closed."""
    host, _, port = gateway.url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), within_s)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


GET = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


async def test_host_is_given_exactly_once(outside) -> None:
    gateway = outside.gateway
    assert status(await send(gateway, GET + b"\r\n")) == 200
    assert status(await send(gateway, b"GET /health HTTP/1.1\r\n\r\n")) == 400
    assert status(await send(gateway, GET + b"Host: y\r\n\r\n")) == 400


async def test_heads_are_bounded_in_bytes_and_number(outside) -> None:
    gateway = outside.gateway
    assert status(await send(gateway, GET + b"X: " + b"x" * 20_000 + b"\r\n\r\n")) == 200
    answer = await send(gateway, GET + b"X: " + b"x" * 40_000 + b"\r\n\r\n")
    assert status(answer) == 431
    assert b'"headers_too_large"' in answer
    assert status(await send(gateway, GET + b"".join(b"X-%d: 1\r\n" % n for n in range(98)) + b"\r\n")) == 200
    assert status(await send(gateway, GET + b"".join(b"X-%d: 1\r\n" % n for n in range(101)) + b"\r\n")) == 431
    assert status(await send(gateway, b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")) == 431


async def test_header_without_end_is_cut_off(outside) -> None:
    answer = await send(outside.gateway, GET + b"X: ", *[b"x" * 8192] * 64)
    assert answer == b"" or status(answer) == 431


async def test_slow_head_is_cut_off(outside, suite: Suite) -> None:
    hasty = await outside.another_gateway(suite, GATEWAY_HEADER_TIMEOUT="300ms")
    assert status(await send(hasty, b"GET /health HTTP/1.1\r\nHost: ")) == 408
    assert status(await send(hasty, b"")) == 408
    host, _, port = hasty.url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.write(b"\r\n")  # a trickle after an answer is a head that does not come
    assert b"HTTP/1.1 408" in await asyncio.wait_for(reader.read(), 5)
    writer.close()


async def test_ambiguous_framing_is_refused(outside) -> None:
    for headers in (
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 3, 3\r\n",
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"X: a\r\n folded\r\n",
        b"Bad Name: x\r\n",
    ):
        head = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        answer = await send(outside.gateway, head + headers + b"Connection: close\r\n\r\n{}\r\n\r\n")
        assert status(answer) == 400, headers


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (b"/api/v1/auth/login", "invalid_request"),
        (b"/v1/api-keys", "INVALID_REQUEST"),
        (b"/api/sessions/s/messages", "invalid_request"),
    ],
)
async def test_body_whose_chunks_make_no_sense_is_refused_in_the_familys_spelling(outside, path, code) -> None:
    head = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\nTransfer-Encoding: chunked\r\n\r\n"
    for parts in ((head + b"zz\r\n{}\r\n",), (head + b"2\r\n{}\r\nzz\r\n",)):
        answer = await send(outside.gateway, *parts)
        assert status(answer) == 400
        assert answer.count(b"HTTP/1.1 ") == 1
        told = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert (told["error"]["code"], told["error"]["status"]) == (code, 400)
        assert told["detail"] == told["error"]["message"]


async def test_body_that_stops_making_sense_while_somebody_waits_for_it_is_refused(outside) -> None:
    host, _, port = outside.gateway.url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\nExpect: 100-continue\r\n"
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    assert b"100 Continue" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)  # somebody reads the body
    writer.write(b"2\r\n{}\r\nzz\r\n")
    answer = await asyncio.wait_for(reader.read(), 5)
    assert status(answer) == 400
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["request_id"] == "mine"
    writer.close()


async def test_what_makes_no_sense_behind_a_request_is_no_answer_to_it(outside) -> None:
    answer = await send(outside.gateway, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" + b"nonsense\r\n\r\n")
    assert answer == b"" or status(answer) == 200


async def test_many_requests_on_one_connection_are_each_bounded(outside) -> None:
    one = b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000 + b"\r\n\r\n"
    answer = await send(outside.gateway, one, one, one, GET + b"\r\n")
    assert answer.count(b"HTTP/1.1 200") == 4


async def test_socket_handshakes_are_bounded_too(outside) -> None:
    upgrade = (
        b"GET /ws HTTP/1.1\r\nHost: x\r\nHost: y\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert status(await send(outside.gateway, upgrade)) == 400


UPGRADE = (
    b"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


async def test_socket_with_a_body_or_by_another_method_is_refused_at_once(outside) -> None:
    gateway = outside.gateway
    for line, framing in (
        (b"GET /health", b"Content-Length: 5\r\n"),
        (b"GET /telemetry", b"Content-Length: 5\r\n"),
        (b"GET /telemetry", b"Transfer-Encoding: chunked\r\n"),
        (b"POST /nope", b"Content-Length: 5\r\n"),
        (b"POST /telemetry", b""),
    ):
        answer = await send(gateway, line + b" HTTP/1.1\r\n" + UPGRADE + framing + b"\r\n", within_s=2)
        assert status(answer) == 400, (line, framing)
