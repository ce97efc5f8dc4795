"""Principal and route: come in, or not."""

from gateway.authentication import Known
from gateway.errors import TokenOutOfScopeError
from gateway.routes import Access, Route
from shoal.errors import ForbiddenError, UnauthorizedError
from shoal.http.auth import SessionRequiredError
from shoal.identity import Via

_PUBLIC, _AUTHENTICATED, _SESSION = Access.PUBLIC, Access.AUTHENTICATED, Access.SESSION
_NONE, _BY_SESSION, _BY_WEB_CHAT = Via.NONE, Via.SESSION, Via.WEB_CHAT


def authorise(route: Route, known: Known) -> None:
    """Let somebody enter by a route; what may be done there, the service behind it decides.

    Raises:
        TokenOutOfScopeError: The web chat's token was sent, and the route is none of the web chat's.
        UnauthorizedError: The route needs a credential and none was good.
        ForbiddenError: The route is for users, and an agent asks.
        SessionRequiredError: The route is for users who are signed in, and an API key asks.
    """
    if known.via is _BY_WEB_CHAT and not route.web_chat:
        raise TokenOutOfScopeError
    access = route.access
    if access is _PUBLIC:
        return
    if known.via is _NONE:
        raise UnauthorizedError
    if access is _AUTHENTICATED:
        return
    if not known.is_user:
        raise ForbiddenError("Users may do this, not agents: send a session or an API key.")
    if access is _SESSION and known.via is not _BY_SESSION:
        raise SessionRequiredError
