"""The line to PostgreSQL, cut in the middle of something."""

import asyncio
import contextlib
from urllib.parse import urlsplit, urlunsplit

from shoal.tasks import end


class Line:
    """Carries connections to a server; cuts one, once, in the transaction in which its client says something.

    Args:
        url: The server.
    """

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._said: bytes | None = None
        self._is_committed = False
        self._mended_after_s = 0.0
        self._ends: set[asyncio.StreamWriter] = set()

    async def open(self) -> str:
        """Take connections; returns the URL by which the server is reached through here."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        user = self._target.netloc.rpartition("@")[0]
        return urlunsplit(self._target._replace(netloc=f"{user}@127.0.0.1:{port}"))

    async def close(self) -> None:
        """Take no more connections."""
        assert self._server is not None
        self._server.close()

    def cut(self, said: str, *, is_committed: bool, mended_after_s: float = 0) -> None:
        """Cut the connection of whoever says this next.

        Before the server hears it; with `is_committed` when the server has committed, before the client hears that.
        With `mended_after_s` all others are cut too, and who comes before it is mended.
        """
        self._said, self._is_committed, self._mended_after_s = said.encode(), is_committed, mended_after_s

    @property
    def is_cut(self) -> bool:
        """Whether that has happened."""
        return self._said is None

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mended_after_s and self.is_cut:
            writer.close()
            return
        there, back = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._ends |= {writer, back}
        answering = asyncio.create_task(_pump(there, writer))
        said = b""
        while piece := await reader.read(65536):
            said = piece if b"begin\0" in piece else said + piece
            if self._said is not None and self._said in said and (b"commit\0" in piece or not self._is_committed):
                await end([answering])
                await self._cut(piece, there, back)
                break
            back.write(piece)
            said = b"" if b"commit\0" in piece or b"rollback\0" in piece else said
        back.close()
        writer.close()

    async def _cut(self, piece: bytes, there: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._said = None
        if self._is_committed:
            back.write(piece)
            await there.readuntil(b"COMMIT\x00")
        if self._mended_after_s:
            asyncio.get_running_loop().call_later(self._mended_after_s, self._mend)
            for other in self._ends:
                other.close()

    def _mend(self) -> None:
        self._mended_after_s = 0.0


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
    writer.close()
