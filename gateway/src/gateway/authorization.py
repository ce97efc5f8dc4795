"""Principal and route: come in, or not."""

from gateway.routes import Access, Route
from shoal.errors import ForbiddenError, UnauthorizedError
from shoal.http.auth import SessionRequiredError
from shoal.identity import Principal, Via


def authorise(route: Route, principal: Principal) -> None:
    """Let somebody enter by a route; what may be done there, the service behind it decides.

    Raises:
        UnauthorizedError: The route needs a credential and none was good.
        ForbiddenError: The route is for users, and an agent asks.
        SessionRequiredError: The route is for users who are signed in, and an API key asks.
    """
    access = route.access
    if access is Access.PUBLIC:
        return
    if principal.via is Via.NONE:
        raise UnauthorizedError
    if access is Access.AUTHENTICATED:
        return
    if not principal.is_user:
        raise ForbiddenError("This is for users, not for agents.")
    if access is Access.SESSION and principal.via is not Via.SESSION:
        raise SessionRequiredError
