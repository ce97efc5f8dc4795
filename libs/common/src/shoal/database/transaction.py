"""What repositories are made with."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import asyncpg

from shoal.database.rows import to_struct, to_structs

T = TypeVar("T")


class Transaction:
    """One connection inside one transaction; what repositories are made with."""

    def __init__(self, connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> None:
        self.connection = connection
        self._after: list[Callable[[], Awaitable[None]]] = []

    async def find(self, row: type[T], sql: str, *arguments: Any) -> T | None:
        """Read the one row, or None."""
        record = await self.connection.fetchrow(sql, *arguments)
        return None if record is None else to_struct(record, row)

    async def all(self, row: type[T], sql: str, *arguments: Any) -> list[T]:
        """Read every row."""
        return to_structs(await self.connection.fetch(sql, *arguments), row)

    async def value(self, sql: str, *arguments: Any) -> Any:
        """Read the first column of the first row, or None."""
        return await self.connection.fetchval(sql, *arguments)

    async def execute(self, sql: str, *arguments: Any) -> int:
        """Run a statement; returns how many rows it touched."""
        tag = await self.connection.execute(sql, *arguments)
        count = tag.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once per row, in one round trip."""
        await self.connection.executemany(sql, rows)

    def after_commit(self, act: Callable[[], Awaitable[None]]) -> None:
        """Ask for something to be done once the commit stands; never done if it does not."""
        self._after.append(act)
