"""The live line: what this machine's agent says, as a dashboard hears it through the gateway."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

RETRY_S = 1.0


async def frames(url: str, cookies: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
    """Watch the account's agents through the gateway, for ever; connects again when the connection ends.

    Args:
        url: Where the gateway answers.
        cookies: A signed-in user's.
    """
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    while True:
        with contextlib.suppress(OSError, WebSocketException, TimeoutError):
            async with connect(
                f"ws{url.removeprefix('http')}/telemetry",
                origin=url,  # type: ignore[arg-type]
                additional_headers={"Cookie": cookie},
                compression=None,
                proxy=None,
            ) as socket:
                keep = asyncio.ensure_future(_keep_alive(socket))
                try:
                    async for message in socket:
                        frame = msgspec.json.decode(message)
                        if frame.get("type") == "metrics":
                            yield frame
                finally:
                    keep.cancel()
        structlog.get_logger().info("live_view_reconnects")
        await asyncio.sleep(RETRY_S)


def line(frame: Mapping[str, Any]) -> str:
    """Say a metrics frame in one line."""
    told = frame["data"]
    hours = told.get("uptime_s", 0) / 3600
    parts = (
        f"cpu {told.get('cpu_percent', 0):5.1f} %",
        f"memory {told.get('memory_mb', 0):,.0f} MB",
        f"messages {told.get('messages_1h', 0):,.0f}/h",
        f"up {hours:,.1f} h",
        str(frame.get("timestamp", ""))[11:19],
    )
    return f"{frame['agent_id']}   " + "   ".join(parts)


async def _keep_alive(socket: Any) -> None:
    while True:
        await asyncio.sleep(30)
        await socket.send('{"type":"ping"}')
