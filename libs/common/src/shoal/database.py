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
_SCALARS = (*_NATIVE, str, int, float, bool)
_CONNECT_S = 3.0
_ANSWER_S = 2.0
"""How long a server may take to open a transaction: it does that at once, or it is frozen."""
_UNREACHABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shut down, starting up, statement cancelled
    asyncpg.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidCachedStatementError,  # the schema has just been migrated
    asyncpg.OutdatedSchemaCacheError,
)
_BROKEN = (OSError, TimeoutError, UnavailableError, asyncpg.PostgresError, asyncpg.InterfaceError)
_UNSTORABLE = (
    asyncpg.CharacterNotInRepertoireError,
    asyncpg.UntranslatableCharacterError,
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


class _Connection(asyncpg.Connection):  # type: ignore[misc]  # untyped
    """A connection that is not used again once a statement ran out of time: who knows what the server made of it."""

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
        except (OSError, TimeoutError) as error:
            self.terminate()
            raise _unavailable(error) from error


class Database:
    """A service's pool of connections, as its working role, on its own schema.

    Args:
        url: PostgreSQL as the working role.
        schema: Where unqualified names are looked up.
        pool_size: How many connections there may be.
        command_timeout_s: How long one statement may run, and how long a caller waits for a connection.
    """

    def __init__(self, url: str, *, schema: str, pool_size: int = 10, command_timeout_s: float = 5) -> None:
        self._url = url
        self._schema = schema
        self._pool_size = pool_size
        self._command_timeout_s = command_timeout_s
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    @contextlib.asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncIterator[Transaction]:
        """Open a transaction that commits when the block ends and rolls back when it raises.

        Errors that the block raises itself pass unchanged, a `TimeoutError` of its own included.

        Raises:
            DatabaseUnavailableError: No connection, or the connection broke, or a statement ran out of time. When it
                broke during commit the outcome is unknown: the caller's request must be safe to send again.
            UnstorableValueError: PostgreSQL cannot represent one of the values.
        """
        async with self._lent() as connection:
            begun = connection.transaction(readonly=read_only)
            await _begin(begun, connection)
            transaction = Transaction(connection)
            try:
                yield transaction
            except BaseException:
                await _roll_back(begun, connection)
                raise
            await begun.commit()
        for act in transaction._after:  # noqa: SLF001 - the two are one mechanism
            await act()

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Lend a connection for statements that each stand alone: no transaction is opened.

        Raises:
            DatabaseUnavailableError: As for `transaction`.
            UnstorableValueError: As for `transaction`.
        """
        async with self._lent() as connection:
            yield Transaction(connection)

    async def ping(self) -> None:
        """Prove that a statement runs.

        Raises:
            DatabaseUnavailableError: It does not.
        """
        async with self.reading() as database:
            await database.value("select 1")

    async def listen(self, channel: str, wake: Callable[[], None]) -> "asyncpg.Connection[asyncpg.Record]":
        """Open a connection of its own that calls `wake` for each notification on a channel; the caller closes it.

        Raises:
            DatabaseUnavailableError: It cannot be opened.
        """
        with _translated(), _connecting():
            connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
                self._url,
                timeout=_CONNECT_S,
                command_timeout=_CONNECT_S,
                server_settings=self._settings(),
                connection_class=_Connection,
            )
            try:
                await connection.add_listener(channel, lambda *_: wake())
            except BaseException:
                connection.terminate()
                raise
        return connection

    async def close(self) -> None:
        """Give every connection back; cuts those still in use after five seconds."""
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except _BROKEN:
            self._pool.terminate()

    @contextlib.asynccontextmanager
    async def _lent(self) -> AsyncIterator["asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"]:
        with _translated(), _connecting():
            pool = await self._open()
            connection = await pool.acquire(timeout=self._command_timeout_s)
        try:
            with _translated(connection):
                yield connection
        finally:
            # What was to be done is done: a connection that breaks only now is replaced, and no answer changes.
            with contextlib.suppress(*_BROKEN):
                await pool.release(connection, timeout=_ANSWER_S)

    async def _open(self) -> "asyncpg.Pool[asyncpg.Record]":
        if self._pool is None:
            self._pool = asyncpg.create_pool(
                self._url,
                min_size=0,
                max_size=self._pool_size,
                timeout=_CONNECT_S,
                command_timeout=self._command_timeout_s,
                max_inactive_connection_lifetime=60,
                init=_prepare,
                server_settings=self._settings(),
                connection_class=_Connection,
            )
        return await self._pool  # opens it once, whoever comes first

    def _settings(self) -> dict[str, str]:
        most_ms = round(self._command_timeout_s * 1000)
        return {
            "application_name": f"shoal-{self._schema}",
            "search_path": self._schema,
            "timezone": "UTC",
            "statement_timeout": str(most_ms),
            "lock_timeout": str(most_ms // 2),
            "idle_in_transaction_session_timeout": "15000",
            "tcp_keepalives_idle": "15",
        }


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
    if row in _SCALARS:
        (value,) = record.values()
        return msgspec.convert(value, row, strict=False, builtin_types=_NATIVE)
    return msgspec.convert(dict(record.items()), row, strict=False, builtin_types=_NATIVE)


@contextlib.contextmanager
def _translated(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record] | None" = None) -> Iterator[None]:
    """Tell what PostgreSQL says in our words; what others raise passes."""
    try:
        yield
    except _UNSTORABLE as error:
        raise UnstorableValueError from error
    except _UNREACHABLE as error:
        raise _unavailable(error) from error
    except asyncpg.InterfaceError as error:
        if connection is not None and not _is_gone(connection):
            raise  # the connection is used wrongly: a fault of ours
        raise _unavailable(error) from error


@contextlib.contextmanager
def _connecting() -> Iterator[None]:
    try:
        yield
    except (OSError, TimeoutError) as error:
        raise _unavailable(error) from error


def _is_gone(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:  # the pool took it back when it broke
        return True


def _unavailable(error: Exception) -> DatabaseUnavailableError:
    structlog.get_logger().warning("database_unavailable", error=type(error).__name__, reason=str(error))
    return DatabaseUnavailableError(retry_after_s=1)


async def _begin(
    begun: "asyncpg.transaction.Transaction", connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
) -> None:
    try:
        async with asyncio.timeout(_ANSWER_S):
            await begun.start()
    except TimeoutError as error:
        if not _is_gone(connection):
            connection.terminate()
        raise _unavailable(error) from error


async def _roll_back(
    begun: "asyncpg.transaction.Transaction", connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
) -> None:
    """Undo everything; if that breaks the connection the server undoes it, and the first error is the one to tell."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            await begun.rollback()
    except _BROKEN:
        if not _is_gone(connection):
            connection.terminate()


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_jsonb, decoder=_decode_jsonb, format="binary"
    )


def _encode_jsonb(value: Any) -> bytes:
    return b"\x01" + msgspec.json.encode(value)


def _decode_jsonb(data: bytes) -> Any:
    return msgspec.json.decode(data[1:])
