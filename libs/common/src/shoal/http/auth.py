"""Who asks, for controllers: the verified principal as a dependency, and guards that refuse.

Guards are coroutines though they wait for nothing: Litestar runs plain functions in a thread, at every request.
"""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from shoal.errors import ForbiddenError, UnauthorizedError
from shoal.identity import Principal, Via, may_call

PRINCIPAL = "shoal.principal"

Connection = ASGIConnection[Any, Any, Any, Any]


class AdminRequiredError(ForbiddenError):
    """Admins of the account may do this; ask one of them."""


class SessionRequiredError(ForbiddenError):
    """Only a signed-in user may do this, not an API key or a token: sign in, and send the session."""

    code = "session_required"


def principal_of(connection: Connection) -> Principal:
    """Give the principal that the door verified."""
    return connection.scope[PRINCIPAL]  # type: ignore[literal-required,no-any-return]


async def require_user(connection: Connection, _: BaseRouteHandler) -> None:
    """Let users in, by session or API key.

    Raises:
        UnauthorizedError: Nobody, an agent or a service asks.
    """
    if not principal_of(connection).is_user:
        raise UnauthorizedError


async def require_admin(connection: Connection, handler: BaseRouteHandler) -> None:
    """Let admins in.

    Raises:
        UnauthorizedError: No user asks.
        AdminRequiredError: The user is no admin.
    """
    await require_user(connection, handler)
    if not principal_of(connection).is_admin:
        raise AdminRequiredError


async def require_session(connection: Connection, handler: BaseRouteHandler) -> None:
    """Let signed-in users in.

    Raises:
        UnauthorizedError: No user asks.
        SessionRequiredError: The user came with an API key.
    """
    await require_user(connection, handler)
    if principal_of(connection).via is not Via.SESSION:
        raise SessionRequiredError


async def require_person(connection: Connection, handler: BaseRouteHandler) -> None:
    """Let signed-in users in, also those of the web chat.

    Raises:
        UnauthorizedError: No user asks.
        SessionRequiredError: The user came with an API key.
    """
    await require_user(connection, handler)
    if principal_of(connection).via is Via.API_KEY:
        raise SessionRequiredError


async def require_permitted_service(connection: Connection, _: BaseRouteHandler) -> None:
    """Let in the services that the table of permitted calls names for this path.

    Raises:
        UnauthorizedError: No service asks.
        ForbiddenError: The table does not have this call.
    """
    caller = principal_of(connection).service
    if not caller:
        raise UnauthorizedError
    callee = connection.app.state.service
    if not may_call(caller, callee, connection.scope["path"]):
        raise ForbiddenError(f"{caller} may not call {connection.scope['path']} of {callee}.")
