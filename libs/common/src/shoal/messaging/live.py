"""Live messages: core NATS, sent together where they come one upon the other."""

import asyncio
from collections.abc import Callable

import structlog
from msgspec import Struct
from nats.aio.client import Client
from nats.errors import Error as NatsError

GATHER_S = 0.005
"""How long messages wait that follow another one: a write for each costs more than the messages."""
MAX_WAITING = 8 * 1024 * 1024
"""Bytes that wait at most while the server takes nothing; what is more is dropped."""
MAX_JOINED = 64 * 1024
"""Bytes up to which lines go as one message."""


class _Waiting(Struct):
    subject: str
    payload: bytes
    headers: dict[str, str] | None


class LiveMessages:
    """What is on its way; the first message goes at once, those that follow within `GATHER_S` go together.

    Args:
        client: Gives the client of the moment.
    """

    def __init__(self, client: Callable[[], Client]) -> None:
        self._client = client
        self._waiting: list[_Waiting] = []
        self._lines: dict[str, _Waiting] = {}
        self._size = 0
        self._sender: asyncio.Task[None] | None = None

    def offer(self, subject: str, payload: bytes, headers: dict[str, str] | None, *, is_line: bool = False) -> None:
        """Send a message after those before it, if there is room; a line may go with those of its subject that wait."""
        if self._size > MAX_WAITING:
            return
        self._size += len(payload)
        joined = self._lines.get(subject) if is_line else None
        if joined is not None and len(joined.payload) + len(payload) < MAX_JOINED:
            joined.payload += b"\n" + payload
            return
        waiting = _Waiting(subject, payload, headers)
        self._waiting.append(waiting)
        if is_line:
            self._lines[subject] = waiting
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())

    async def finish(self, within_s: float) -> None:
        """Wait until all is with the client, or no longer: what is left then is dropped."""
        if self._sender is not None:
            await asyncio.wait({self._sender}, timeout=within_s)
            self._take()
            self._sender.cancel()

    async def _send(self) -> None:
        """Send what waits, and what comes while this rests, until nothing does."""
        while self._waiting:
            for waiting in self._take():
                try:
                    await self._client().publish(waiting.subject, waiting.payload, headers=waiting.headers)
                except (NatsError, OSError, ValueError) as error:
                    structlog.get_logger().warning("live_not_published", subject=waiting.subject, error=repr(error))
            await asyncio.sleep(GATHER_S)

    def _take(self) -> list[_Waiting]:
        taken, self._waiting, self._lines, self._size = self._waiting, [], {}, 0
        return taken
