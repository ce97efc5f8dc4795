"""What a socket is told: answers, which are kept, and live frames, which are conflated when it is slow.

While the client reads, every live frame goes out in order. Once `MAX_IN_ORDER` wait, the viewer is slow: from then on
the newest metrics and skills frame of each agent replaces the one before, and of status and error frames the newest
`MAX_URGENT` are kept, until everything in order has gone out. Nobody else ever waits for it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from telemetry_ingest.domain.closings import Closing
from telemetry_ingest.domain.frames import ServerFrame
from telemetry_ingest.instruments import Instruments

MAX_IN_ORDER = 256
MAX_URGENT = 256
MAX_ANSWERS = 512
CONFLATED = frozenset({"metrics", "skills"})

Message = dict[str, Any]
Send = Callable[[Any], Awaitable[None]]

_encode = msgspec.json.Encoder().encode


def text_message(body: bytes) -> Message:
    """Make an ASGI message of a JSON body; it may be given to any number of sockets."""
    return {"type": "websocket.send", "text": body.decode()}


class Outgoing:
    """Sends to one socket, from a task of its own."""

    def __init__(self, send: Send, instruments: Instruments) -> None:
        self._send = send
        self._instruments = instruments
        self._answers: deque[Message] = deque()
        self._live: deque[Message] = deque()
        self._newest: dict[tuple[str, str], Message] = {}
        self._urgent: deque[Message] = deque(maxlen=MAX_URGENT)
        self._closing: Closing | None = None
        self._wake = asyncio.Event()

    @property
    def is_stalled(self) -> bool:
        """Whether the client asks and asks and does not read the answers."""
        return len(self._answers) > MAX_ANSWERS

    def answer(self, frame: ServerFrame) -> None:
        """Send an answer; ahead of live frames."""
        self._answers.append(text_message(_encode(frame)))
        self._wake.set()

    def show(self, agent_id: str, kind: str, message: Message) -> None:
        """Send a live frame, as soon and as well as the viewer keeps up."""
        if not self._newest and not self._urgent and len(self._live) < MAX_IN_ORDER:
            self._live.append(message)
        elif kind in CONFLATED:
            if (agent_id, kind) in self._newest:
                self._instruments.conflated.labels("replaced").inc()
            self._newest[agent_id, kind] = message
        else:
            if len(self._urgent) == MAX_URGENT:
                self._instruments.conflated.labels("dropped").inc()
            self._urgent.append(message)
        self._wake.set()

    def end(self, closing: Closing) -> None:
        """Send the answers that are due, then close; live frames that wait are not sent any more."""
        self._closing = closing
        self._wake.set()

    async def run(self) -> None:
        """Send for ever, or until the end."""
        send = self._send
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._answers or self._live or self._newest or self._urgent:
                if self._answers:
                    await send(self._answers.popleft())
                elif self._closing is not None:
                    break
                elif self._live:
                    await send(self._live.popleft())
                else:
                    self._catch_up()
            if self._closing is not None:
                close = {"type": "websocket.close", "code": self._closing.code, "reason": self._closing.reason}
                await send(close)
                return

    def _catch_up(self) -> None:
        self._live.extend(self._urgent)
        self._live.extend(self._newest.values())
        self._urgent.clear()
        self._newest.clear()
