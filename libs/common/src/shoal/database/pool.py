"""The pool, and how a transaction begins and ends."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable

import asyncpg

from shoal.database.connection import TimedConnection, prepare
from shoal.database.doubts import Doubts
from shoal.database.errors import BROKEN, connecting, is_gone, translated
from shoal.database.transaction import Transaction

_CONNECT_S = 5.0
_BEGIN, _BEGIN_READING = "begin", "begin isolation level repeatable read read only"
_ANSWER_S = 2.5
"""How long a server may take to begin a transaction or to undo one: it does that at once, or it is frozen."""


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
        self._answer_s = min(command_timeout_s, _ANSWER_S)
        self._doubts = Doubts(url)
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._answered_at = -math.inf

    @contextlib.asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncIterator[Transaction]:
        """Open a transaction that commits when the block ends and rolls back when it raises.

        One that only reads sees the database as it was at one moment, however many statements it has.

        Errors that the block raises itself pass unchanged, a `TimeoutError` of its own included.

        Raises:
            DatabaseUnavailableError: No connection, or the connection broke, or a statement ran out of time. When it
                broke during commit the outcome is unknown: the caller's request must be safe to send again.
            UnstorableValueError: PostgreSQL cannot represent one of the values.
            RuntimeError: A statement failed, and the block went on as if it had not: nothing is committed.
        """
        async with self._lent() as connection:
            await _begin(connection, _BEGIN_READING if read_only else _BEGIN, within_s=self._answer_s)
            transaction = Transaction(connection)
            try:
                yield transaction
            except BaseException:
                await _roll_back(connection, within_s=self._answer_s)
                raise
            await _commit(connection)
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

    async def ping(self, *, unless_answered_within_s: float = 0) -> None:
        """Prove that a statement runs.

        Args:
            unless_answered_within_s: A statement of anybody's that went well so lately is proof enough: a service that
                is busy needs no connection to show that it has a database.

        Raises:
            DatabaseUnavailableError: It does not.
        """
        if time.monotonic() - self._answered_at < unless_answered_within_s:
            return
        async with self.reading() as database:
            await database.value("select 1")

    async def listen(self, channel: str, wake: Callable[[], None]) -> "asyncpg.Connection[asyncpg.Record]":
        """Open a connection of its own that calls `wake` for each notification on a channel; the caller closes it.

        Raises:
            DatabaseUnavailableError: It cannot be opened.
        """
        with translated(), connecting():
            connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
                self._url,
                timeout=_CONNECT_S,
                command_timeout=_CONNECT_S,
                server_settings=self._settings(),
                connection_class=TimedConnection,
            )
            try:
                await connection.add_listener(channel, lambda *_: wake())
            except BaseException:
                connection.terminate()
                raise
        return connection

    async def close(self) -> None:
        """Give every connection back; cuts those still in use after five seconds."""
        await self._doubts.close()
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except BROKEN:
            self._pool.terminate()

    @contextlib.asynccontextmanager
    async def _lent(self) -> AsyncIterator["asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"]:
        with translated(), connecting():
            pool = await self._open()
            async with asyncio.timeout(self._command_timeout_s) as limit:
                with self._doubts.watch(lambda: _expire(limit)):
                    connection = await pool.acquire()
        try:
            with translated(connection), self._doubts.watch(lambda: _cut(connection)):
                yield connection
            self._answered_at = time.monotonic()
        finally:
            # What was to be done is done: a connection that breaks only now is replaced, and no answer changes.
            with contextlib.suppress(*BROKEN):
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
                init=prepare,
                server_settings=self._settings(),
                connection_class=TimedConnection,
            )
        return await self._pool  # opens it once, whoever comes first

    def _settings(self) -> dict[str, str]:
        max_ms = round(self._command_timeout_s * 1000)
        return {
            "application_name": f"shoal-{self._schema}",
            "search_path": self._schema,
            "timezone": "UTC",
            "statement_timeout": str(max_ms),
            "lock_timeout": str(max_ms // 2),
            "idle_in_transaction_session_timeout": "15000",
            "tcp_keepalives_idle": "15",
        }


def _expire(limit: asyncio.Timeout) -> None:
    with contextlib.suppress(RuntimeError):  # it expires already
        limit.reschedule(0)


def _cut(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> None:
    """End a connection, and with it whatever is under way on it."""
    if not is_gone(connection):
        connection.terminate()


async def _begin(
    connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]", begin: str, *, within_s: float
) -> None:
    try:
        await connection.execute(begin, timeout=within_s)
    except asyncio.CancelledError:
        _cut(connection)  # the server may have begun
        raise


async def _commit(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> None:
    """Commit; the server rolls back instead where a statement failed and nobody said so: that is a fault of ours."""
    if await connection.execute("commit") != "COMMIT":
        raise RuntimeError("a statement of this transaction failed, so it was rolled back")


async def _roll_back(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]", *, within_s: float) -> None:
    """Undo everything; if that breaks the connection the server undoes it, and the first error is the one to tell."""
    try:
        await connection.execute("rollback", timeout=within_s)
    except BROKEN:
        _cut(connection)
