"""One connection: its deadlines and its types."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import msgspec

from shoal.database.errors import unavailable

_UNANSWERED = (OSError, TimeoutError, asyncpg.InternalClientError)
"""How it ends that a statement gets no answer; the last: the server's farewell crossed it."""


def _in_time(ask: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Cut the connection of a statement that got no answer."""

    @functools.wraps(ask)
    async def asked(self: "TimedConnection", *arguments: Any, **settings: Any) -> Any:
        try:
            return await ask(self, *arguments, **settings)
        except _UNANSWERED as error:
            self.terminate()
            raise unavailable(error) from error

    return asked


class TimedConnection(asyncpg.Connection):  # type: ignore[misc]  # untyped
    """A connection that is not used again once a statement got no answer: who knows what the server made of it.

    Nothing here changes the state of a session (locks, settings and cursors end with their transaction), so giving a
    connection back asks nothing of the server.
    """

    execute = _in_time(asyncpg.Connection.execute)
    executemany = _in_time(asyncpg.Connection.executemany)
    fetch = _in_time(asyncpg.Connection.fetch)
    fetchrow = _in_time(asyncpg.Connection.fetchrow)
    fetchval = _in_time(asyncpg.Connection.fetchval)
    copy_records_to_table = _in_time(asyncpg.Connection.copy_records_to_table)

    async def reset(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109, D102 - asyncpg's own
        if self.is_in_transaction():
            await super().reset(timeout=timeout)

    def get_reset_query(self) -> str:  # noqa: D102 - asyncpg's own
        return ""


async def prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Let jsonb go in and come out as values."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_jsonb, decoder=msgspec.json.decode, format="text"
    )


def _encode_jsonb(value: Any) -> str:
    return msgspec.json.encode(value).decode()
