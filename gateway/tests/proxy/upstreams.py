"""Upstreams that the tests of the proxies have in common."""

import contextlib
import json

from websockets.exceptions import ConnectionClosed

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


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def watch(connection, ended):
    """Reads until the end and tells how it was: code, reason."""
    with contextlib.suppress(ConnectionClosed):
        async for _ in connection:
            pass
    ended.set_result((connection.close_code, connection.close_reason))
