"""Who comes in: the address, the credential, and whether the credential may be used from there."""

from gateway.addresses import Addresses
from gateway.authentication import Authentication, Known
from gateway.logins.cookies import CookieJar
from gateway.logins.domain import Kind
from gateway.origins import Origins
from gateway.rate_limits import RateLimit
from gateway.routes import Access
from gateway.visit import Visit
from shoal.errors import UnauthorizedError
from shoal.http.door import OPEN_PATHS
from shoal.identity import GATEWAY

_TOKEN = b"clawft_"


class Callers:
    """Finds out who comes in, from the first of: `Authorization`, a socket's subprotocol, a cookie."""

    def __init__(
        self,
        *,
        addresses: Addresses,
        authentication: Authentication,
        origins: Origins,
        jar: CookieJar,
        strangers: RateLimit,
    ) -> None:
        self._addresses = addresses
        self._authentication = authentication
        self._origins = origins
        self._strangers = strangers
        self._session, self._token = jar.names[Kind.SESSION].encode(), jar.names[Kind.TOKEN].encode()

    def locate(self, visit: Visit) -> None:
        """Note where the caller is."""
        client = visit.scope["client"]
        visit.source = self._addresses.source(client[0] if client else "", visit.scope["headers"])

    def is_inner(self, visit: Visit) -> bool:
        """Tell whether a probe, a scraper or another service asks, and no proxy stands between."""
        path, client = visit.scope["path"], visit.scope["client"]
        if path not in OPEN_PATHS and not path.startswith("/internal/"):
            return False
        is_direct = b"x-forwarded-for" not in visit.headers and b"forwarded" not in visit.headers
        return is_direct and client is not None and self._addresses.is_inner(client[0])

    def recall(self, visit: Visit) -> Known | None:
        """Tell who comes in if a credential was sent on purpose and is known already: most requests need no more."""
        if visit.route.foreign:
            return self._authentication.nobody
        secret = visit.secret = self._explicit(visit)
        known = None if secret is None else self._authentication.recall(secret)
        if known is not None and secret is not None and secret.startswith(_TOKEN):
            self._keep_token(visit, secret)
        return known

    async def identify(self, visit: Visit) -> Known:
        """Find out who comes in; `nobody` when no credential is good and the route does not mind.

        Raises:
            UnauthorizedError: A credential was sent, and it is no good.
            CrossSiteError: A page of another site may be using the caller's cookies.
            TooManyRequestsError: The address sends too many credentials that nobody knows.
            UnavailableError: Whoever owns this kind of credential cannot be asked right now.
        """
        is_own = visit.route.service == GATEWAY
        secret = visit.secret
        if secret is None:
            if is_own and visit.is_unsafe:
                self._origins.check_request(visit.headers)
            return await self._by_cookie(visit) or self._authentication.nobody
        known = await self._ask(visit, secret)
        is_token = secret.startswith(_TOKEN)
        if known is not None and is_token:
            self._keep_token(visit, secret)
        elif known is None and is_token and not is_own:
            known = await self._by_cookie(visit)  # the web chat's page keeps its token beyond the token's end
        if known is not None:
            return known
        if visit.route.access is Access.PUBLIC and not visit.is_socket:
            return self._authentication.nobody
        raise UnauthorizedError

    def _keep_token(self, visit: Visit, secret: bytes) -> None:
        """Give the web chat's page its cookie again if it lost it: its sockets have nothing else."""
        if (
            visit.route.web_chat
            and not visit.is_socket
            and _cookie(visit.headers.get(b"cookie", b""), self._token) != secret
        ):
            visit.token_to_keep = secret

    async def _by_cookie(self, visit: Visit) -> Known | None:
        cookies = visit.headers.get(b"cookie")
        if cookies is None:
            return None
        for name in (self._session, self._token) if visit.route.web_chat else (self._session,):
            secret = _cookie(cookies, name)
            if not secret:
                continue
            self._origins.check_page(visit.headers)
            if visit.is_socket:
                self._origins.check_socket(visit.headers)
            known = self._authentication.recall(secret) or await self._ask(visit, secret)
            if known is not None:
                if visit.is_unsafe:
                    self._origins.check_request(visit.headers)
                return known
        return None

    async def _ask(self, visit: Visit, secret: bytes) -> Known | None:
        self._strangers.take(visit.source)
        return await self._authentication.recognise(secret)

    def _explicit(self, visit: Visit) -> bytes | None:
        """Read the credential that was sent on purpose, which no page of another site can make a browser do."""
        header = visit.headers.get(b"authorization")
        if header is not None:
            scheme, _, secret = header.partition(b" ")
            return secret.strip() if scheme.lower() == b"bearer" else b""
        if visit.is_socket:
            offered: list[str] = visit.scope["subprotocols"]
            if "bearer" in offered[:-1]:
                at = offered.index("bearer")
                visit.subprotocols = offered[:at] + offered[at + 2 :]
                return offered[at + 1].encode("latin-1", "replace")
        return None


def _cookie(header: bytes, name: bytes) -> bytes | None:
    for part in header.split(b";"):
        key, _, value = part.strip().partition(b"=")
        if key == name:
            return value
    return None
