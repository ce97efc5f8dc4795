"""What a socket is told, from a task of its own: nobody ever waits for a slow reader.

Frames go out in order. A reader that lets more than `MAX_WAITING` frames or `MAX_WAITING_CHARS` characters wait has
lost touch: its socket is closed (1013), and it reads what stands when it comes again. Nothing is left out in silence,
for a frame left out would be a canvas drawn wrong or half a sentence.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from agent_runtime.sockets.domain.closings import Closing
from agent_runtime.sockets.domain.frames import Message

MAX_WAITING = 2048
MAX_WAITING_CHARS = 4 * 1024 * 1024

Send = Callable[[Any], Awaitable[None]]


class Outgoing:
    """Sends to one socket, in order, from a task of its own."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: deque[Message] = deque()
        self._size = 0
        self._closing: Closing | None = None
        self._wake = asyncio.Event()
        self._idle_since: float | None = asyncio.get_running_loop().time()
        """Loop time at which everything had been sent; None while something is being sent."""

    @property
    def is_stalled(self) -> bool:
        """Whether more waits than may."""
        return len(self._waiting) > MAX_WAITING or self._size > MAX_WAITING_CHARS

    @property
    def quiet_s(self) -> float:
        """For how long nothing was sent, though the reader would have taken it."""
        return 0.0 if self._idle_since is None else asyncio.get_running_loop().time() - self._idle_since

    def tell(self, message: Message) -> None:
        """Send a message after all before it."""
        self._idle_since = None
        self._waiting.append(message)
        self._size += len(message["text"])
        self._wake.set()

    def end(self, closing: Closing) -> None:
        """Send what is due, then close; a reader that lost touch is only closed."""
        if self.is_stalled:
            self._waiting.clear()
            self._size = 0
        self._closing = closing
        self._wake.set()

    async def run(self) -> None:
        """Send for ever, or until the end."""
        send, waiting, loop = self._send, self._waiting, asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while waiting:
                message = waiting.popleft()
                self._size -= len(message["text"])
                await send(message)
            self._idle_since = loop.time()
            if self._closing is not None:
                await send({"type": "websocket.close", "code": self._closing.code, "reason": self._closing.reason})
                return
