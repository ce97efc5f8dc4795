"""From the gateway to the services: who is where, what is added, and what is kept open."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from opentelemetry.trace import SpanKind

from gateway.identities import Identities
from gateway.logins.cookies import CookieJar
from gateway.proxy import Address, HttpProxy, Pool, WebSocketProxy
from gateway.refusals import Headers, Refusals
from gateway.streams import Streams
from gateway.visit import Visit
from shoal.errors import UnavailableError
from shoal.http.asgi import Message, Receive, Send
from shoal.telemetry import Tracing

REVOKED = 4401


class ServiceAbsentError(UnavailableError):
    """The service behind this path is not part of this installation."""

    code = "service_absent"


class Forwarding:
    """Forwards what belongs to other services."""

    def __init__(
        self,
        *,
        addresses: Mapping[str, str],
        identities: Identities,
        refusals: Refusals,
        streams: Streams,
        jar: CookieJar,
        token_ttl: timedelta,
        tracing: Tracing,
    ) -> None:
        self._addresses = {service: _address(place) for service, place in addresses.items()}
        self._identities = identities
        self._refusals = refusals
        self._streams = streams
        self._jar = jar
        self._token_ttl = token_ttl
        self._tracing = tracing
        self._proxies: tuple[HttpProxy, WebSocketProxy] | None = None

    async def forward(self, visit: Visit, receive: Receive, send: Send, *, added: Headers) -> None:
        """Forward a request or a socket.

        Args:
            visit: Identified and authorised.
            receive: ASGI.
            send: ASGI.
            added: What the answer has besides the service's own headers.

        Raises:
            ServiceAbsentError: There is no such service here.
        """
        route, principal = visit.route, visit.known.principal
        address = self._addresses.get(route.service)
        if address is None:
            raise ServiceAbsentError
        headers = [
            self._identities.header(visit.known, audience=route.service, source=visit.source),
            (b"x-request-id", visit.request_id),
            (b"x-forwarded-for", visit.source.encode()),
        ]
        if visit.token_to_keep is not None:
            added.append((b"set-cookie", self._jar.refresh(visit.token_to_keep.decode("latin-1"), self._token_ttl)))
        if self._tracing.is_exporting:
            parent = visit.traceparent
            with self._tracing.span(
                f"{visit.method} {route.path}", kind=SpanKind.SERVER, parent=parent.decode() if parent else None
            ):
                traceparent = self._tracing.traceparent()
                headers += [(b"traceparent", traceparent.encode())] if traceparent else []
                await self._relay(visit, receive, send, address, headers, added)
            return
        if (traceparent_given := visit.traceparent) is not None:
            headers.append((b"traceparent", traceparent_given))
        if visit.is_socket or route.streaming:
            with self._streams.opened(principal) as stream:
                try:
                    await self._relay(visit, receive, send, address, headers, added)
                except asyncio.CancelledError:
                    if not stream.was_cut():
                        raise
                    if visit.is_socket:
                        await send({"type": "websocket.close", "code": REVOKED, "reason": "credential revoked"})
            return
        await self._relay(visit, receive, send, address, headers, added)

    async def close(self, within_s: float) -> None:
        """End what is under way."""
        if self._proxies is not None:
            http, websocket = self._proxies
            await asyncio.gather(http.close(within_s), websocket.close())

    async def _relay(
        self, visit: Visit, receive: Receive, send: Send, address: Address, headers: Headers, added: Headers
    ) -> None:
        http, websocket = self._proxies or self._open()
        if not visit.is_socket:
            await http.forward(
                visit.scope, receive, send, upstream=address, headers=headers, route=visit.route, response_headers=added
            )
            return
        if visit.subprotocols is not None:
            send = _naming_bearer(send)
        await websocket.forward(
            visit.scope, receive, send, upstream=address, headers=headers, route=visit.route,
            response_headers=added, subprotocols=visit.subprotocols,
        )  # fmt: skip

    def _open(self) -> tuple[HttpProxy, WebSocketProxy]:
        """Open the proxies, which belong to the loop that runs."""
        pool = Pool()
        self._proxies = HttpProxy(pool, self._refusals.write), WebSocketProxy(pool, self._refusals.write)
        return self._proxies


def _address(place: str) -> Address:
    host, _, port = place.rpartition(":")
    return host.strip("[]"), int(port)


def _naming_bearer(send: Send) -> Send:
    """Choose `bearer` where the service chose nothing: a browser that offered something wants an answer to it."""

    async def named(message: Message) -> None:
        if message["type"] == "websocket.accept" and not message.get("subprotocol"):
            message["subprotocol"] = "bearer"
        await send(message)

    return named
