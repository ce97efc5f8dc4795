"""What PostgreSQL and the way to it say, in our words."""

import contextlib
from collections.abc import Callable, Iterator

import asyncpg
import structlog

from shoal.errors import AppError, UnavailableError, ValidationError

UNREACHABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shut down, starting up, statement cancelled
    asyncpg.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidCachedStatementError,  # the schema has just been migrated
)
"""The server, not the statement: the same may go well in a moment."""
BROKEN = (
    OSError,
    TimeoutError,
    UnavailableError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""How a connection may end."""
UNSTORABLE = (
    asyncpg.CharacterNotInRepertoireError,
    asyncpg.UntranslatableCharacterError,
    asyncpg.DataError,
)


class DatabaseUnavailableError(UnavailableError):
    """The database cannot be reached right now; try again."""

    code = "database_unavailable"


class UnstorableValueError(ValidationError):
    """A value cannot be stored: NUL, a lone surrogate, or a number out of range."""


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


@contextlib.contextmanager
def translated(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record] | None" = None) -> Iterator[None]:
    """Tell what PostgreSQL says in our words; what others raise passes."""
    try:
        yield
    except UNSTORABLE as error:
        raise UnstorableValueError from error
    except UNREACHABLE as error:
        raise unavailable(error) from error
    except asyncpg.InterfaceError as error:
        if connection is not None and not is_gone(connection):
            raise  # the connection is used wrongly: a fault of ours
        raise unavailable(error) from error


@contextlib.contextmanager
def connecting() -> Iterator[None]:
    """Tell in our words what the network says while a connection is sought."""
    try:
        yield
    except (OSError, TimeoutError) as error:
        raise unavailable(error) from error


def is_gone(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> bool:
    """Tell whether a lent connection has broken."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:  # the pool took it back when it broke
        return True


def unavailable(error: Exception) -> DatabaseUnavailableError:
    """Log what happened, and make the error that tells of it."""
    structlog.get_logger().warning("database_unavailable", error=type(error).__name__, reason=str(error))
    return DatabaseUnavailableError(retry_after_s=1)
