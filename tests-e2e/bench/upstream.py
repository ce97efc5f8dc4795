"""What stands behind the proxies: 200 bytes of JSON, an echo, a stream; raw ASGI, nothing to spare.

Started as `python upstream.py PORT`, in the place of a service.
"""

import asyncio
import sys
from typing import Any

import uvicorn

BODY = b'{"agent_id":"agent_abc123","period":"24h","value":[' + b"1234567890," * 13 + b"12]}"
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
EVENT = b"data: " + b"x" * 1000 + b"\n\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve one connection."""
    if scope["type"] == "websocket":
        await echo(receive, send)
    elif scope["type"] == "http" and scope["path"].endswith("/stream"):
        await stream(send)
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": BODY})


async def echo(receive: Any, send: Any) -> None:
    """Say everything back."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def stream(send: Any) -> None:
    """Send events for ever, as fast as they are taken."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    while True:
        await send({"type": "http.response.body", "body": EVENT, "more_body": True})
        await asyncio.sleep(0)


def main() -> None:
    """Serve until killed."""
    uvicorn.run(
        app, port=int(sys.argv[1]), loop="uvloop", http="httptools", ws="websockets-sansio", access_log=False,
        log_level="warning", server_header=False, date_header=False, ws_per_message_deflate=False, lifespan="off",
        timeout_keep_alive=75, ws_ping_interval=None,
    )  # fmt: skip


if __name__ == "__main__":
    main()
