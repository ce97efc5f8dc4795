"""A WebSocket client that costs next to nothing: frames are made beforehand and written as they are.

The mask is zero, which the protocol allows, so a payload stands in its frame as it is. Only what a bench needs is
read: unfragmented frames, taken apart without being copied twice.
"""

import asyncio
import base64
import os
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import urlsplit

MEDIUM, LONG = 126, 127
TEXT, CLOSE = 0x81, 0x88


def frame(payload: bytes) -> bytes:
    """Write a text message as a client sends it."""
    size = len(payload)
    if size < MEDIUM:
        head = bytes((TEXT, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((TEXT, 0x80 | MEDIUM)) + size.to_bytes(2, "big")
    else:
        head = bytes((TEXT, 0x80 | LONG)) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


class Wire(asyncio.Protocol):
    """One connection.

    Args:
        hear: Is given each message that arrives.
    """

    def __init__(self, url: str, headers: Mapping[str, str], hear: Callable[[bytes], None]) -> None:
        self._url = urlsplit(url)
        self._headers = headers
        self._hear = hear
        self._read = b""
        self.transport: asyncio.Transport
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._may_write = asyncio.Event()
        self._may_write.set()

    @classmethod
    async def open(cls, url: str, hear: Callable[[bytes], None], headers: Mapping[str, str] | None = None) -> "Wire":
        """Connect and shake hands.

        Raises:
            RuntimeError: The server refuses.
        """
        parts = urlsplit(url)
        made = lambda: cls(url, headers or {}, hear)  # noqa: E731 - a factory of one line
        _, wire = await asyncio.get_running_loop().create_connection(made, parts.hostname, parts.port)
        async with asyncio.timeout(20):
            await wire.opened
        return wire

    async def write(self, frames: bytes) -> None:
        """Send frames, as fast as the server takes them."""
        self.transport.write(frames)
        await self._may_write.wait()

    def close(self) -> None:
        """Go away without a word."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(256 * 1024)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {self._url.path} HTTP/1.1", f"Host: {self._url.netloc}", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *(f"{n}: {v}" for n, v in self._headers.items()),
        ]  # fmt: skip
        self.transport.write("\r\n".join([*lines, "", ""]).encode())

    def data_received(self, data: bytes) -> None:
        self._read += data
        if not self.opened.done():
            head, end, rest = self._read.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head[:16]:
                self.opened.set_exception(RuntimeError(head.decode("latin-1")[:200]))
                return
            self.opened.set_result(None)
            self._read = rest
        self._take_frames()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._may_write.set()
        self._end(f"lost: {exc}")

    def _take_frames(self) -> None:
        read, at, size = self._read, 0, len(self._read)
        while size - at >= 2:
            length, start = read[at + 1] & 0x7F, at + 2
            if length >= MEDIUM:
                start += 2 if length == MEDIUM else 8
                length = int.from_bytes(read[at + 2 : start], "big")
            if size < start + length:
                break
            if read[at] == TEXT:
                self._hear(read[start : start + length])
            elif read[at] == CLOSE:
                self._end(f"closed with {int.from_bytes(read[start : start + 2], 'big')}")
            at = start + length
        self._read = read[at:]

    def _end(self, why: str) -> None:
        if not self.closed.done():
            self.closed.set_result(why)
        if not self.opened.done():
            self.opened.set_exception(RuntimeError(why))
