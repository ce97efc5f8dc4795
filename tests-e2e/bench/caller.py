"""An HTTP client that costs next to nothing: one connection, bare of any library."""

import asyncio
import time
from urllib.parse import urlsplit

from msgspec import Struct


class Answer(Struct, frozen=True):
    """What was answered, and after how many milliseconds."""

    body: bytes
    took_ms: float


class Caller:
    """One connection that is kept; `key` proves who calls, where a question brings no other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, host: str, key: str) -> None:
        self._reader, self._writer, self._key = reader, writer, key
        self._headers = f"Host: {host}\r\nContent-Type: application/json\r\n"

    @classmethod
    async def open(cls, url: str, *, key: str = "") -> "Caller":
        """Connect."""
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**24)
        return cls(reader, writer, host=parts.netloc, key=key)

    async def ask(self, method: str, path: str, body: bytes = b"", *, key: str = "") -> Answer:
        """Ask; anything but success fails."""
        key = key or self._key
        bearer = f"Authorization: Bearer {key}\r\n" if key else ""
        size = "" if method == "GET" else f"Content-Length: {len(body)}\r\n"
        started = time.perf_counter()
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{self._headers}{bearer}{size}\r\n".encode() + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        said = await self._rest(head.lower())
        took_ms = (time.perf_counter() - started) * 1000
        assert head.startswith(b"HTTP/1.1 20"), f"{method} {path}: {said[:300]!r}"
        return Answer(said, took_ms)

    async def _rest(self, head: bytes) -> bytes:
        if b"content-length:" in head:
            return await self._reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
        said = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            said += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
        return said
