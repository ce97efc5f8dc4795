"""What connections to upstreams do alike: somebody waits for what comes, and neither side outruns the other."""

# ruff: noqa: D102 - callbacks, as asyncio names them

import asyncio
from typing import cast


class Flow(asyncio.Protocol):
    """A connection with one who waits for what comes, and one who writes no faster than the upstream takes.

    What has come and was not taken yet, its heirs keep and count: they pause the reading and resume it.
    """

    __slots__ = ("_drained", "_is_reading_paused", "_is_writing_paused", "_loop", "_transport", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._is_reading_paused = self._is_writing_paused = False

    # What the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def pause_writing(self) -> None:
        self._is_writing_paused = True

    def resume_writing(self) -> None:
        self._is_writing_paused = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    # What heirs do

    async def _until_taken(self) -> None:
        """Wait until the upstream has taken enough of what was written."""
        self._drained = self._loop.create_future()
        await self._drained

    async def _wait(self) -> None:
        """Wait until something has come."""
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _pause_reading(self) -> None:
        self._is_reading_paused = True
        self._transport.pause_reading()

    def _resume_reading(self) -> None:
        self._is_reading_paused = False
        if not self._transport.is_closing():
            self._transport.resume_reading()
