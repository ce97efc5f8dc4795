"""Who enters which route of this subject.

Unless a route says otherwise, a user of an account: `opt={WHO: Who.AGENT}` also lets agents in by their own key.
"""

from enum import StrEnum
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from pairing.connections.domain.agents import has_connect_token
from pairing.connections.errors import AmbiguousRecipientError, ScopeMismatchError
from pairing.connections.usecases.keys import AgentKeys
from shoal.errors import UnauthorizedError
from shoal.http.auth import SessionRequiredError, principal_of
from shoal.http.errors import respond
from shoal.identity import Principal, Via

WHO = "who"


class Who(StrEnum):
    """Who may enter."""

    ACCOUNT = "account"
    """A user, by session or by an account's key."""
    AGENT = "agent"
    """The same, and an agent by its own key."""
    SESSION = "session"
    """A user who is signed in."""
    CONNECT_TOKEN = "connect_token"  # noqa: S105 - a kind of credential, not one
    """An agent with the token that it was registered with, and nobody else."""


class Doorman:
    """Lets in whom a route names."""

    def __init__(self, keys: AgentKeys) -> None:
        self._keys = keys

    async def admit(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Let somebody in, or not.

        Raises:
            UnauthorizedError: Nobody asks, or nobody whom the route is for.
            KeyRevokedError: An agent asks with a key that is no longer good.
            ScopeMismatchError: An agent asks for what is its account's to do.
            SessionRequiredError: The route is for signed-in users, and a key asks.
        """
        principal, who = principal_of(connection), Who(handler.opt.get(WHO, Who.ACCOUNT))
        if has_connect_token(principal) or who is Who.CONNECT_TOKEN:
            if not (has_connect_token(principal) and who is Who.CONNECT_TOKEN):
                raise UnauthorizedError
        elif principal.via is Via.AGENT_KEY:
            await self._admit_agent(principal, who)
        elif not principal.is_user:
            raise UnauthorizedError
        elif who is Who.SESSION and principal.via is not Via.SESSION:
            raise SessionRequiredError

    async def _admit_agent(self, principal: Principal, who: Who) -> None:
        await self._keys.check(principal)
        if who is Who.SESSION:
            raise SessionRequiredError
        if who is not Who.AGENT:
            raise ScopeMismatchError


def tell_candidates(request: Request[Any, Any, Any], error: AmbiguousRecipientError) -> Response[bytes]:
    """Answer with the accounts that a name may stand for, inside the common body."""
    answer = respond(request, error)
    body = msgspec.json.decode(answer.content)
    if "error" in body:
        body["error"]["candidates"] = error.candidates
    else:
        body["candidates"] = error.candidates
    return Response(
        msgspec.json.encode(body),
        status_code=answer.status_code,
        headers=answer.headers,
        media_type=answer.media_type,
    )
