"""What leaves the edge, byte by byte."""

import asyncio

import pytest

from gateway.edge import edge_protocol

EDGE = edge_protocol(max_header_bytes=64 * 1024, max_headers=200, header_timeout_s=10)


async def told(address, *, method: bytes = b"GET") -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(method + b" / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer


def answering(*messages):
    async def app(scope, receive, send):
        if scope["type"] == "http":
            for message in messages:
                await send(message)

    return app


def start(*headers, status: int = 200):
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(content: bytes, *, more: bool = False):
    return {"type": "http.response.body", "body": content, "more_body": more}


async def test_head_and_body_come_as_they_were_said(serve) -> None:
    app = answering(start((b"content-length", b"5"), (b"x-one", b"1")), body(b"hello"))
    address = await serve(app, http=EDGE)
    assert await told(address) == (
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-one: 1\r\nconnection: close\r\n\r\nhello"
    )


async def test_body_of_unknown_length_is_chunked(serve) -> None:
    app = answering(start(), body(b"one", more=True), body(b"", more=True), body(b"two"))
    answer = await told(await serve(app, http=EDGE))
    assert answer.endswith(b"transfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


async def test_head_request_has_no_body(serve) -> None:
    app = answering(start((b"content-length", b"5")), body(b"hello"))
    answer = await told(await serve(app, http=EDGE), method=b"HEAD")
    assert answer.endswith(b"\r\n\r\n")
    assert b"content-length: 5" in answer


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: x=1", b"a\nb", b"a\rb", b"a\0b"])
async def test_line_end_inside_a_header_never_leaves(serve, value: bytes) -> None:
    app = answering(start((b"content-length", b"0"), (b"x-name", value)), body(b""))
    answer = await told(await serve(app, http=EDGE))
    assert value not in answer
    assert not answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("content", [b"four", b"sixsix"])
async def test_body_of_another_length_than_its_head_says_is_broken_off(serve, content: bytes) -> None:
    app = answering(start((b"content-length", b"5")), body(content))
    answer = await told(await serve(app, http=EDGE))
    assert len(answer.partition(b"\r\n\r\n")[2]) < 5


async def test_stream_begins_before_its_first_event(serve) -> None:
    ended = asyncio.Event()

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send(start((b"content-type", b"text/event-stream")))
            await send(body(b"", more=True))
            await ended.wait()
            await send(body(b""))

    reader, writer = await asyncio.open_connection(*await serve(app, http=EDGE))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await asyncio.wait_for(reader.readline(), 2)) == b"HTTP/1.1 200 OK\r\n"
    ended.set()
    writer.close()
