"""The front door: raw ASGI around everything, for every request costs what happens here.

The way in: a safe path, a row of the route table, the caller's address, the credential, the row's access rule, the
rate limit; then this service's own application, or the proxy. What probes, scrapers and other services ask for
(`/healthz`, `/metrics`, `/internal/*` …) has no row; it is answered behind the same door as at every service, and
only to callers on the machine or a private network who come directly.
"""

import asyncio
import time
from collections.abc import Awaitable
from email.utils import formatdate
from typing import cast

import structlog
from msgspec import structs

from gateway.answering import IS_HEAD
from gateway.authorization import authorise
from gateway.callers import Callers
from gateway.errors import UnsafePathError
from gateway.forwarding import Forwarding
from gateway.ledger import Ledger
from gateway.proxy.errors import DrainingError, RequestTimeoutError
from gateway.rate_limits import RateLimit
from gateway.refusals import Refusals
from gateway.routes import Route, find, safe_path
from gateway.visit import RequestIds, Visit
from shoal.errors import AppError, MethodNotAllowedError, NotFoundError, PathUnknownError
from shoal.http.asgi import ASGIApp, Header, Headers, Message, Receive, Scope, Send
from shoal.http.auth import PRINCIPAL
from shoal.http.door import Door
from shoal.http.errors import REQUEST_ID, to_app_error
from shoal.identity import GATEWAY, Via

BODY_S = 30.0
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_STARTS = frozenset({"http.response.start", "websocket.http.response.start"})
_NONE = Via.NONE
_HTTPS_ONLY = (b"strict-transport-security", b"max-age=31536000")
_NO_SNIFF = (b"x-content-type-options", b"nosniff")


class Matched(dict[bytes, Route | None]):
    """Rows of paths that were asked for lately; None for those that have none, or are not safe to have one."""

    ROOM = 4096

    def __missing__(self, path: bytes) -> Route | None:
        if len(self) >= self.ROOM:
            self.clear()
        route = self[path] = find(path)
        return route


class Front:
    """Serves every connection of the gateway."""

    def __init__(
        self,
        *,
        door: Door,
        callers: Callers,
        forwarding: Forwarding,
        refusals: Refusals,
        ledger: Ledger,
        limits: tuple[RateLimit, RateLimit],
        is_secure: bool,
    ) -> None:
        self._door = door
        self._own = cast(ASGIApp, door.inside)
        self._callers = callers
        self._forwarding = forwarding
        self._refusals = refusals
        self._ledger = ledger
        self._principals, self._strangers = limits
        self._always = (_NO_SNIFF, _HTTPS_ONLY) if is_secure else (_NO_SNIFF,)
        self._dated: tuple[int, Header] = (0, (b"", b""))
        self._routes = Matched()
        self._ids = RequestIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] not in {"http", "websocket"}:
            return
        visit = Visit(scope, self._ids)
        visit.scope[REQUEST_ID] = visit.request_id.decode()
        route = self._routes[visit.path]
        if route is None and self._callers.is_inner(visit):
            await self._door(scope, receive, send)
            return
        added: Headers = [(b"x-request-id", visit.request_id), self._date(), *self._always]

        def send_noted(message: Message) -> Awaitable[None]:
            if message["type"] in _STARTS:
                visit.status = message["status"]
            elif message["type"] == "websocket.close":
                visit.status = message.get("code", 1000)
            return send(message)

        self._ledger.open(visit)
        try:
            self._check(visit, route)
            self._callers.locate(visit)
            visit.known = self._callers.recall(visit) or await self._callers.identify(visit)
            self._admit(visit, added)
            await self._serve(visit, receive, send_noted, added)
        except Exception as error:
            if visit.status:
                raise
            await self._refusals.send(visit.scope, receive, send_noted, _told(error), added=added)
        except asyncio.CancelledError:  # the server stops, and waits no longer
            if not visit.status and not visit.is_socket:
                added += DrainingError.headers
                await self._refusals.send(visit.scope, receive, send_noted, DrainingError(), added=added)
            raise
        finally:
            self._ledger.close(visit, "unmatched" if route is None else route.path)

    def _check(self, visit: Visit, route: Route | None) -> None:
        """Refuse what no service should see."""
        if route is None:
            raise PathUnknownError if safe_path(visit.path) else UnsafePathError
        if visit.is_socket:
            if not route.websocket:
                raise NotFoundError("There is no socket at this path.")
        elif visit.method not in METHODS:
            raise MethodNotAllowedError("No path answers this method.", allowed=METHODS)
        visit.route = route

    def _admit(self, visit: Visit, added: Headers) -> None:
        """Refuse who asks too often, or must not enter here."""
        known = visit.known
        added += self._strangers.take(visit.source) if known.via is _NONE else self._principals.take(known.subject)
        authorise(visit.route, known)

    def _serve(self, visit: Visit, receive: Receive, send: Send, added: Headers) -> Awaitable[object]:
        if visit.route.service == GATEWAY:
            return self._answer(visit, receive, send, added)
        return self._forwarding.forward(visit, receive, send, added=added)

    async def _answer(self, visit: Visit, receive: Receive, send: Send, added: Headers) -> None:
        """Ask this service's own application, on behalf of the caller."""
        visit.scope[PRINCIPAL] = structs.replace(visit.known.principal, source=visit.source)
        structlog.contextvars.bind_contextvars(service=GATEWAY, request_id=visit.scope[REQUEST_ID])

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *added]
            await send(message)

        async def receive_in_time() -> Message:
            try:
                async with asyncio.timeout(BODY_S):
                    return await receive()
            except TimeoutError:
                raise RequestTimeoutError from None

        asked = visit.scope
        if visit.method == "HEAD":  # the server drops the body
            asked = {**asked, "method": "GET", IS_HEAD: True}
        await self._own(asked, receive_in_time, send_marked)

    def _date(self) -> Header:
        """Write the date, once a second."""
        now = int(time.time())
        if self._dated[0] != now:
            self._dated = (now, (b"date", formatdate(now, usegmt=True).encode()))
        return self._dated[1]


def _told(error: Exception) -> AppError:
    """Turn what was raised into what the caller is told; faults of ours are written down."""
    told = to_app_error(error)
    if type(told) is AppError:
        structlog.get_logger().error("request_failed", error=repr(error), exc_info=error)
    return told
