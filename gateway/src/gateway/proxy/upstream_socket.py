"""One WebSocket connection to an upstream."""

# ruff: noqa: D102 - callbacks, as asyncio names them

import asyncio
from collections.abc import Sequence
from typing import cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.typing import BytesLike, Subprotocol
from websockets.uri import parse_uri

from gateway.proxy.errors import InvalidUpstreamResponseError, UpstreamLostError
from gateway.proxy.flow import Flow
from shoal.http.asgi import Message

HIGH_WATER = 64 * 1024
"""Bytes of messages that may lie here untaken before the upstream is made to wait."""
BAD_GATEWAY = 1014
TOO_BIG = 1009
_BROKE_OFF = "The service behind this socket broke off."
_MESSAGE_COST = 256
"""Bytes that a message takes beyond its content."""
_NOWHERE = parse_uri("ws://upstream/")  # the handshake's request is written by the proxy


class UpstreamSocket(Flow):
    """Speaks the client's side of RFC 6455: `shake_hands`, then `send` and, in another task, `more` and `take`.

    `ended` is the upstream's last word, code and reason, and is set when no message will come after those
    that can be taken: its close frame as it was (1005 for one without a code), 1009 for a message beyond the
    limit, and 1014 for a connection that was lost or spoke nonsense. Pings are answered here.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, subprotocols: Sequence[str], largest_message: int) -> None:
        super().__init__(loop)
        self._protocol = ClientProtocol(
            _NOWHERE,
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            max_size=largest_message,
        )
        self._response: Response | None = None
        self._parts: list[BytesLike] = []
        self._is_text = False
        self._messages: list[Message] = []
        self._size = 0
        self._patience: asyncio.TimerHandle | None = None
        self._is_deaf = self._is_lost = False
        self.ended: tuple[int, str] | None = None

    @property
    def key(self) -> str:
        """The handshake's key, which the upstream must prove to have seen."""
        return self._protocol.key

    @property
    def subprotocol(self) -> str | None:
        """What the upstream chose from those offered."""
        return self._protocol.subprotocol

    async def shake_hands(self, head: bytes) -> Response:
        """Send the head of the handshake and wait for the answer: 101, or the upstream's refusal with its body.

        Raises:
            UpstreamLostError: The connection ended first. InvalidUpstreamResponseError: What came is no HTTP,
            or switches to something that was not asked for.
        """
        self._transport.write(head)
        while self._response is None and self._protocol.handshake_exc is None:
            if self._is_lost:
                raise UpstreamLostError
            await self._wait()
        failure = self._protocol.handshake_exc
        if failure is not None and not isinstance(failure, InvalidStatus):
            raise (UpstreamLostError if isinstance(failure.__cause__, EOFError) else InvalidUpstreamResponseError)
        return cast("Response", self._response)

    @property
    def has_messages(self) -> bool:
        """Whether there is something to take."""
        return bool(self._messages)

    async def more(self) -> None:
        """Wait for messages, or the end of them."""
        while not self._messages and self.ended is None:
            await self._wait()

    def take(self) -> list[Message]:
        """Take what has arrived, as ASGI `websocket.send` messages."""
        messages, self._messages, self._size = self._messages, [], 0
        if self._is_reading_paused:
            self._resume_reading()
        return messages

    def send_text(self, data: bytes) -> None:
        """Send a text message, encoded in UTF-8; nothing happens once either side has closed."""
        if self.ended is None:
            self._protocol.send_text(data)
            self._flush()

    def send_binary(self, data: bytes) -> None:
        """Send a binary message; nothing happens once either side has closed."""
        if self.ended is None:
            self._protocol.send_binary(data)
            self._flush()

    @property
    def is_full(self) -> bool:
        """Whether the upstream should first take what was sent."""
        return self._is_writing_paused and not self._is_lost

    async def drain(self) -> None:
        """Wait until the upstream has taken enough of what was sent."""
        if self.is_full:
            await self._until_taken()

    def close(self, code: int | None, reason: str, *, patience: float) -> None:
        """Say good-bye, without a code if None, and close when the upstream has answered or `patience` is over.

        The connection is read until then: closing it over unread bytes would make the kernel reset it, and
        the good-bye be lost.
        """
        self._is_deaf = True
        self.take()
        if self.ended is None:
            self.ended = (code or 1000, reason)
            self._protocol.send_close(code, reason)
            self._flush()
        if not self._is_lost:
            self._patience = self._loop.call_later(patience, self._transport.abort)

    def abort(self) -> None:
        """Close at once and without a word, like a lost connection."""
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._transport.write_eof()

    # What the event loop tells

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        self._digest()
        if self._size > HIGH_WATER and not self._is_reading_paused:
            self._pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._is_lost = True
        if self._patience is not None:
            self._patience.cancel()
        self._protocol.receive_eof()
        self._digest()
        if self.ended is None:
            self.ended = (BAD_GATEWAY, "The service behind this socket was lost.")
        self.resume_writing()
        self._wake()

    # What the parser finds

    def _digest(self) -> None:
        """Take in what the parser has found, and send what it has to say (pongs, the answer to a close)."""
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._response = event
            elif isinstance(event, Frame) and not self._is_deaf and self.ended is None:
                self._collect(event)
        if self.ended is None and self._protocol.parser_exc is not None and self._response is not None:
            refused = self._protocol.close_sent
            too_big = refused is not None and refused.code == TOO_BIG
            self.ended = (TOO_BIG, "") if too_big else (BAD_GATEWAY, _BROKE_OFF)
        if not self._is_lost:
            self._flush()
        self._wake()

    def _collect(self, frame: Frame) -> None:
        """Add a frame to the message it belongs to."""
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.BINARY:
            self._is_text = frame.opcode is Opcode.TEXT
        elif frame.opcode is Opcode.CLOSE:
            closed = self._protocol.close_rcvd
            self.ended = (closed.code, closed.reason) if closed is not None else (BAD_GATEWAY, "")
            return
        elif frame.opcode is not Opcode.CONT:
            return
        if frame.data:
            self._parts.append(frame.data)
        if frame.fin:
            self._deliver(b"".join(self._parts))
            self._parts = []

    def _deliver(self, data: bytes) -> None:
        self._size += len(data) + _MESSAGE_COST
        if not self._is_text:
            self._messages.append({"type": "websocket.send", "bytes": data})
            return
        try:
            self._messages.append({"type": "websocket.send", "text": data.decode()})
        except UnicodeDecodeError:
            self._protocol.fail(CloseCode.INVALID_DATA)
            self.ended = (BAD_GATEWAY, _BROKE_OFF)
