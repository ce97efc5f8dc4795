"""What is to be stored as soon as that can be done."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from shoal.errors import UnavailableError

T = TypeVar("T")
PIECE, MAX_WAITING = 200, 20_000
AGAIN_S, PARTING_S = 0.5, 0.8


class Backlog(Generic[T]):
    """Stores things in the order in which they came, for those who cannot wait for the database.

    While the database is away they are kept; beyond `MAX_WAITING` the oldest are lost, which is logged.
    """

    def __init__(self, name: str, write: Callable[[Sequence[T]], Awaitable[None]]) -> None:
        self.name = name
        self._write = write
        self._waiting: deque[T] = deque()
        self._filled = asyncio.Event()
        self._written = asyncio.Condition()
        self._busy = 0

    def add(self, item: T) -> None:
        """Have something stored; never waits."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            structlog.get_logger().error("backlog_full", backlog=self.name)
        self._waiting.append(item)
        self._filled.set()

    async def flush(self) -> None:
        """Wait until everything that was added is stored."""
        async with self._written:
            await self._written.wait_for(lambda: not self._waiting and not self._busy)

    def problem(self) -> str | None:
        """Say nothing: what stops this from writing is told by the database's own check."""
        return None

    async def run(self) -> None:
        """Store for ever; at the end, what can be stored in a moment."""
        try:
            while True:
                await self._filled.wait()
                self._filled.clear()
                while self._waiting:
                    await self._store()
        finally:
            with contextlib.suppress(UnavailableError, TimeoutError):
                async with asyncio.timeout(PARTING_S):
                    while self._waiting:
                        await self._write_piece()

    async def _store(self) -> None:
        try:
            await self._write_piece()
        except UnavailableError as error:
            structlog.get_logger().info("backlog_waits", backlog=self.name, reason=str(error))
            await asyncio.sleep(AGAIN_S)

    async def _write_piece(self) -> None:
        self._busy = min(len(self._waiting), PIECE)
        try:
            await self._write([self._waiting[index] for index in range(self._busy)])
            for _ in range(min(self._busy, len(self._waiting))):
                self._waiting.popleft()
        finally:
            self._busy = 0
            async with self._written:
                self._written.notify_all()
