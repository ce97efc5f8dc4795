"""PostgreSQL: a pool with deadlines, transactions, rows as Structs, violations as errors.

SQL is written where it runs, in repositories. This module only opens, bounds and translates.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import msgspec
import structlog

from shoal.errors import AppError, UnavailableError, ValidationError

T = TypeVar("T")

_NATIVE = (datetime, date, time, timedelta, Decimal, UUID, bytes)
_SETTINGS = {
    "timezone": "UTC",
    "statement_timeout": "10000",
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "15000",
    "tcp_keepalives_idle": "15",
}
_UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.DiskFullError,
    asyncpg.ReadOnlySQLTransactionError,
)
_UNSTORABLE = (
    asyncpg.CharacterNotInRepertoireError,
    asyncpg.UntranslatableCharacterError,
    asyncpg.NumericValueOutOfRangeError,
    asyncpg.DataError,
)


class DatabaseUnavailableError(UnavailableError):
    """The database cannot be reached right now; try again."""

    code = "database_unavailable"


class UnstorableValueError(ValidationError):
    """A value cannot be stored: NUL, a lone surrogate, or a number out of range."""


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
        return [to_struct(record, row) for record in await self.connection.fetch(sql, *arguments)]

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


class Database:
    """A service's pool of connections, as its working role, on its own schema."""

    def __init__(self, url: str, *, schema: str, pool_size: int = 10, command_timeout_s: float = 10) -> None:
        self._url = url
        self._schema = schema
        self._pool_size = pool_size
        self._command_timeout_s = command_timeout_s
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncIterator[Transaction]:
        """Open a transaction that commits when the block ends and rolls back when it raises.

        Raises:
            DatabaseUnavailableError: No connection, or the connection broke, or a statement ran out of time. When it
                broke during commit the outcome is unknown: the caller's request must be safe to send again.
            UnstorableValueError: PostgreSQL cannot represent one of the values.
        """
        with _translated():
            pool = await self._open()
            async with pool.acquire(timeout=self._command_timeout_s) as connection:
                transaction = Transaction(connection)
                async with connection.transaction(readonly=read_only):
                    yield transaction
        for act in transaction._after:  # noqa: SLF001 - the two are one mechanism
            await act()

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Lend a connection for statements that each stand alone: no transaction is opened.

        Raises:
            DatabaseUnavailableError: As for `transaction`.
            UnstorableValueError: As for `transaction`.
        """
        with _translated():
            pool = await self._open()
            async with pool.acquire(timeout=self._command_timeout_s) as connection:
                yield Transaction(connection)

    async def ping(self) -> None:
        """Prove that a statement runs.

        Raises:
            DatabaseUnavailableError: It does not.
        """
        async with self.reading() as database:
            await database.value("select 1")

    async def listen(self, channel: str, wake: Callable[[], None]) -> "asyncpg.Connection[asyncpg.Record]":
        """Open a connection of its own that calls `wake` for each notification on a channel; the caller closes it."""
        with _translated():
            connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
                self._url, timeout=5, server_settings={"search_path": self._schema}
            )
        await connection.add_listener(channel, lambda *_: wake())
        return connection

    async def close(self) -> None:
        """Give every connection back; cuts those still in use after five seconds."""
        if self._pool is None:
            return
        try:
            await asyncio.wait_for(self._pool.close(), 5)
        except TimeoutError:
            self._pool.terminate()

    async def _open(self) -> "asyncpg.Pool[asyncpg.Record]":
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=self._pool_size,
                    timeout=5,
                    command_timeout=self._command_timeout_s,
                    max_inactive_connection_lifetime=60,
                    init=_prepare,
                    server_settings=_SETTINGS
                    | {"search_path": self._schema, "application_name": f"shoal-{self._schema}"},
                )
            return self._pool


@contextlib.contextmanager
def violation_as(**errors: Callable[[], AppError]) -> Iterator[None]:
    """Turn violations of named constraints into refusals: `violation_as(user_username_key=UsernameTakenError)`."""
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        if error.constraint_name in errors:
            refused = errors[error.constraint_name]()
            raise refused from error
        raise


def to_struct(record: Mapping[str, Any], row: type[T]) -> T:
    """Make a value of a row by column name; a scalar type takes the only column."""
    return msgspec.convert(dict(record.items()), row, strict=False, builtin_types=_NATIVE)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _UNSTORABLE as error:
        raise UnstorableValueError from error
    except _UNREACHABLE as error:
        structlog.get_logger().warning("database_unavailable", error=type(error).__name__, reason=str(error))
        raise DatabaseUnavailableError(retry_after_s=1) from error


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_jsonb, decoder=_decode_jsonb, format="binary"
    )


def _encode_jsonb(value: Any) -> bytes:
    return b"\x01" + msgspec.json.encode(value)


def _decode_jsonb(data: bytes) -> Any:
    return msgspec.json.decode(data[1:])
