"""From the gateway to the services: who is where, what is added, and what is kept open."""

import asyncio
from collections.abc import Awaitable, Mapping
from datetime import timedelta

from opentelemetry.trace import SpanKind

from gateway.errors import ServiceAbsentError
from gateway.identities import Identities
from gateway.logins.cookies import CookieJar
from gateway.proxy import Address, HttpProxy, Pool, WebSocketProxy
from gateway.refusals import Refusals
from gateway.visit import Visit
from shoal.http.asgi import Headers, Message, Receive, Send
from shoal.http.auth import PRINCIPAL
from shoal.telemetry import Tracing

SANDBOX = (
    b"content-security-policy",
    b"sandbox allow-downloads allow-forms allow-modals allow-pointer-lock allow-popups allow-scripts",
)
"""Shows a page as one of no origin at all: it reads no cookie and no storage, and may ask us nothing but in public."""
CLOSE_MOUTHED = (b"referrer-policy", b"no-referrer")
_SAID_BY_US = frozenset((CLOSE_MOUTHED[0], b"clear-site-data", b"service-worker-allowed"))


class Forwarding:
    """Forwards what belongs to other services."""

    def __init__(
        self,
        *,
        addresses: Mapping[str, str],
        identities: Identities,
        refusals: Refusals,
        jar: CookieJar,
        token_ttl: timedelta,
        tracing: Tracing,
    ) -> None:
        self._addresses = {service: _address(place) for service, place in addresses.items()}
        self._identities = identities
        self._refusals = refusals
        self._jar = jar
        self._token_ttl = token_ttl
        self._tracing = tracing
        self._proxies: tuple[HttpProxy, WebSocketProxy] | None = None

    def forward(self, visit: Visit, receive: Receive, send: Send, *, added: Headers) -> Awaitable[object]:
        """Forward a request or a socket; nothing happens before the answer is awaited.

        Args:
            visit: Identified and authorised.
            receive: ASGI.
            send: ASGI.
            added: What the answer has besides the service's own headers.

        Raises:
            ServiceAbsentError: There is no such service here.
        """
        service = visit.route.service
        address = self._addresses.get(service)
        if address is None:
            raise ServiceAbsentError
        headers = [
            self._identities.header(visit.known, audience=service, source=visit.source),
            (b"x-request-id", visit.request_id),
            (b"x-forwarded-for", visit.source.encode()),
        ]
        if visit.token_to_keep is not None:
            added.append((b"set-cookie", self._jar.refresh(visit.token_to_keep.decode("latin-1"), self._token_ttl)))
        visit.scope[PRINCIPAL] = visit.known.principal
        if self._tracing.is_exporting:
            return self._traced(visit, receive, send, address, headers, added)
        traceparent = visit.traceparent
        if traceparent is not None:
            headers.append((b"traceparent", traceparent))
        return self._relay(visit, receive, send, address, headers, added)

    def proxies(self) -> tuple[HttpProxy | WebSocketProxy, ...]:
        """Give the proxies, once there are any."""
        return self._proxies or ()

    async def close(self, within_s: float) -> None:
        """End what is under way."""
        if self._proxies is not None:
            http, websocket = self._proxies
            await asyncio.gather(http.close(within_s), websocket.close())

    async def _traced(
        self, visit: Visit, receive: Receive, send: Send, address: Address, headers: Headers, added: Headers
    ) -> None:
        given = visit.traceparent
        name = f"{visit.method} {visit.route.path}"
        with self._tracing.span(name, kind=SpanKind.SERVER, parent=given.decode() if given else None):
            traceparent = self._tracing.traceparent()
            headers += [(b"traceparent", traceparent.encode())] if traceparent else []
            await self._relay(visit, receive, send, address, headers, added)

    def _relay(
        self, visit: Visit, receive: Receive, send: Send, address: Address, headers: Headers, added: Headers
    ) -> Awaitable[object]:
        http, websocket = self._proxies or self._open()
        if visit.route.foreign:
            send = _sandboxing(send)
        if not visit.is_socket:
            return http.forward(
                visit.scope,
                receive,
                send,
                upstream=address,
                headers=headers,
                route=visit.route,
                response_headers=added,
            )
        return websocket.forward(
            visit.scope,
            receive,
            send if visit.subprotocols is None else _naming_bearer(send),
            upstream=address,
            headers=headers,
            route=visit.route,
            response_headers=added,
            subprotocols=visit.subprotocols,
        )

    def _open(self) -> tuple[HttpProxy, WebSocketProxy]:
        """Open the proxies, which belong to the loop that runs."""
        pool = Pool()
        self._proxies = HttpProxy(pool, self._refusals.write), WebSocketProxy(pool, self._refusals.write)
        return self._proxies


def _address(place: str) -> Address:
    host, _, port = place.rpartition(":")
    return host.strip("[]"), int(port)


def _sandboxing(send: Send) -> Send:
    """Take from an instance's page what it could do to us; a policy that it has for itself holds too."""

    async def sandboxed(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [header for header in message["headers"] if header[0] not in _SAID_BY_US]
            message["headers"] = [*kept, SANDBOX, CLOSE_MOUTHED]
        await send(message)

    return sandboxed


def _naming_bearer(send: Send) -> Send:
    """Choose `bearer` where the service chose nothing: a browser that offered something wants an answer to it."""

    async def named(message: Message) -> None:
        if message["type"] == "websocket.accept" and not message.get("subprotocol"):
            message["subprotocol"] = "bearer"
        await send(message)

    return named
