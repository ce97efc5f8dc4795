"""The live line: what this machine's agent says, as a dashboard hears it through the gateway."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

RETRY_S = 1.0
LONGEST_RETRY_S = 30.0
SIGNED_OUT = 4401
"""How a socket is closed whose login has ended."""

SignIn = Callable[[], Awaitable[str]]


async def frames(url: str, session: str, sign_in: SignIn, *, agent_id: str) -> AsyncGenerator[dict[str, Any]]:
    """Watch one of the account's agents through the gateway, for ever.

    Connects again when the connection ends, and signs in anew when the login ended, however often.

    Args:
        url: Where the gateway answers.
        session: A signed-in user's, or none.
        sign_in: Signs the user in anew; gives the session.
        agent_id: Whose metrics; those of others, which come by the same socket, are left out.
    """
    retry_s = RETRY_S
    while True:
        log = structlog.get_logger()
        try:
            session = session or await sign_in()
            async with _connection(url, session) as socket:
                async with contextlib.aclosing(_metrics(socket, agent_id)) as heard:
                    async for frame in heard:
                        retry_s = RETRY_S
                        yield frame
                if socket.close_code == SIGNED_OUT:
                    session = ""
        except InvalidStatus as refusal:
            if refusal.response.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                session = ""
        except Exception as error:  # noqa: BLE001 - whatever it was, the next try may go well
            log.warning("live_view_failed", error=repr(error))
        log.info("live_view_reconnects", signs_in=not session)
        await asyncio.sleep(retry_s)
        retry_s = min(2 * retry_s, LONGEST_RETRY_S)


def line(frame: Mapping[str, Any]) -> str:
    """Say a metrics frame of this machine's agent in one line."""
    told = frame["data"]
    hours = told.get("uptime_s", 0) / 3600
    parts = (
        "this machine",
        f"cpu {told.get('cpu_percent', 0):5.1f} %",
        f"memory {told.get('memory_mb', 0):,.0f} MB",
        f"messages {told.get('messages_1h', 0):,.0f}/h",
        f"up {hours:,.1f} h",
        str(frame.get("timestamp", ""))[11:19],
    )
    return "   ".join(parts)


def _connection(url: str, session: str) -> connect:
    return connect(
        f"ws{url.removeprefix('http')}/telemetry",
        additional_headers={"Authorization": f"Bearer {session}"},
        compression=None,
        proxy=None,
    )


async def _metrics(socket: ClientConnection, agent_id: str) -> AsyncGenerator[dict[str, Any]]:
    """Read an agent's metrics frames until the socket ends."""
    keep = asyncio.ensure_future(_keep_alive(socket))
    try:
        with contextlib.suppress(WebSocketException):
            async for message in socket:
                frame = msgspec.json.decode(message)
                if frame.get("type") == "metrics" and frame["agent_id"] == agent_id:
                    yield frame
    finally:
        keep.cancel()


async def _keep_alive(socket: ClientConnection) -> None:
    with contextlib.suppress(WebSocketException):
        while True:
            await asyncio.sleep(30)
            await socket.send('{"type":"ping"}')
