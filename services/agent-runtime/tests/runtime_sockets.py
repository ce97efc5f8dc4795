"""Sockets of browsers, from outside, and frames as another process publishes them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from agent_runtime.ports import Frame
from shoal.identity import HEADER, Principal
from shoal.testing.suite import ServiceUnderTest, Suite


class Wire:
    """A socket, from outside."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, *frames: Any) -> None:
        for frame in frames:
            raw = frame if isinstance(frame, str | bytes) else msgspec.json.encode(frame).decode()
            await self.connection.send(raw)

    async def hear(self, kind: str | None = None, within_s: float = 5) -> dict[str, Any]:
        """Wait for the next frame, or the next of a type."""
        async with asyncio.timeout(within_s):
            while True:
                frame = msgspec.json.decode(await self.connection.recv())
                if kind in {None, frame["type"]}:
                    return frame

    async def ask(self, frame: dict[str, Any], kind: str) -> dict[str, Any]:
        await self.say(frame)
        return await self.hear(kind)

    async def subscribe(self, *topics: str) -> None:
        for topic in topics:
            assert await self.ask({"type": "subscribe", "topic": topic}, "subscribed") == {
                "type": "subscribed",
                "topic": topic,
            }

    async def heard_until_pong(self) -> list[dict[str, Any]]:
        """Everything that is there by now."""
        await self.say({"type": "ping"})
        heard = []
        while (frame := await self.hear())["type"] != "pong":
            heard.append(frame)
        return heard

    async def closed(self, within_s: float = 5) -> int:
        """Wait until the server closed the socket; gives the code."""
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(within_s):
                while True:
                    await self.connection.recv()
        return self.connection.close_code or 0


@contextlib.asynccontextmanager
async def wire(
    service: ServiceUnderTest, who: Principal | None = None, path: str = "/ws", **options: Any
) -> AsyncIterator[Wire]:
    """Open a socket as somebody, or as nobody in particular."""
    headers = {HEADER.decode(): service.token(who or Principal(source="127.0.0.1"))}
    async with connect(
        service.url.replace("http", "ws") + path, additional_headers=headers, compression=None, proxy=None, **options
    ) as connection:
        yield Wire(connection)


async def publish(suite: Suite, topic: str, kind: str, data: dict[str, Any], account_id: str = "acct_1") -> None:
    """Publish a frame as another process does."""
    bus = await suite.bus()
    await bus.publish(f"shoal.frames.{account_id}", msgspec.json.encode(Frame(account_id, topic, kind, data)))
    await bus.flush()
