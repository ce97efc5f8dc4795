"""One connection: its deadlines and its types."""
# ruff: noqa: D102 - the methods are asyncpg's

import contextlib
from collections.abc import Iterator
from typing import Any

import asyncpg
import msgspec

from shoal.database.errors import unavailable


class TimedConnection(asyncpg.Connection):  # type: ignore[misc]  # untyped
    """A connection that is not used again once a statement got no answer: who knows what the server made of it.

    Nothing here changes the state of a session (locks, settings and cursors end with their transaction), so giving a
    connection back asks nothing of the server.
    """

    def get_reset_query(self) -> str:
        return ""

    async def execute(self, *arguments: Any, **settings: Any) -> Any:
        with self._in_time():
            return await super().execute(*arguments, **settings)

    async def executemany(self, *arguments: Any, **settings: Any) -> Any:
        with self._in_time():
            return await super().executemany(*arguments, **settings)

    async def fetch(self, *arguments: Any, **settings: Any) -> Any:
        with self._in_time():
            return await super().fetch(*arguments, **settings)

    async def fetchrow(self, *arguments: Any, **settings: Any) -> Any:
        with self._in_time():
            return await super().fetchrow(*arguments, **settings)

    async def fetchval(self, *arguments: Any, **settings: Any) -> Any:
        with self._in_time():
            return await super().fetchval(*arguments, **settings)

    async def copy_records_to_table(self, *arguments: Any, **settings: Any) -> Any:
        with self._in_time():
            return await super().copy_records_to_table(*arguments, **settings)

    @contextlib.contextmanager
    def _in_time(self) -> Iterator[None]:
        try:
            yield
        except (OSError, TimeoutError, asyncpg.InternalClientError) as error:  # the last: the server's farewell crossed
            self.terminate()
            raise unavailable(error) from error


async def prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Let jsonb go in and come out as values."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_jsonb, decoder=_decode_jsonb, format="binary"
    )


def _encode_jsonb(value: Any) -> bytes:
    return b"\x01" + msgspec.json.encode(value)


def _decode_jsonb(data: bytes) -> Any:
    return msgspec.json.decode(data[1:])
