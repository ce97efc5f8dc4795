"""A transport that sends at once what one turn of the event loop wrote.

An ASGI server writes the head of an answer and its body apart: each a system call, a packet and a wake-up of the
reader. At a gateway's rates that is a sixth of its time.
"""

# ruff: noqa: D102 - most of a transport is passed through

import asyncio
from typing import Any

_ENOUGH = 64 * 1024


class CorkedTransport(asyncio.Transport):
    """Wraps a transport: small writes wait for the end of the loop's turn, everything else passes through.

    To be put around its transport by a protocol's `connection_made`. Back-pressure is as before, since no more than
    `_ENOUGH` bytes are ever held back.
    """

    __slots__ = ("_loop", "_size", "_transport", "_writes")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._writes: list[bytes] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send soon, together with what else is written meanwhile."""
        if not self._writes:
            self._loop.call_soon(self._flush)
        self._writes.append(bytes(data))
        self._size += len(data)
        if self._size > _ENOUGH:
            self._flush()

    def close(self) -> None:
        """Send what was written, then close."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._writes.clear()
        self._transport.abort()

    def _flush(self) -> None:
        if self._writes:
            written = self._writes[0] if len(self._writes) == 1 else b"".join(self._writes)
            self._writes.clear()
            self._size = 0
            self._transport.write(written)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)
