"""HTTP and WebSocket: the pages of instances.

A raw ASGI handler: what belongs to the instance is not looked into, parsed or kept.
"""

import re
from collections.abc import Callable

import msgspec

from shoal.errors import AppError
from shoal.http.asgi import ASGIApp, Receive, Scope, Send
from shoal.http.auth import PRINCIPAL
from shoal.http.errors import send_refusal, to_app_error
from shoal.identity import Principal
from ssh_manager.pages.domain import SHARED, Place, preflight
from ssh_manager.pages.errors import TicketSpentError
from ssh_manager.pages.usecases.pages import Pages

PATHS = re.compile(r"/api/v1/instances/[^/]+/(?:desktop|control)(?:/.*)?", re.DOTALL)
ROUTE = "/api/v1/instances/{instance_id}/{desktop|control}/**"
_NAVIGATION = (b"sec-fetch-mode", b"navigate")


def pages_handler(pages: Callable[[], Pages]) -> ASGIApp:
    """Make the handler of everything that instances serve."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        scope["path_template"] = ROUTE
        principal: Principal = scope[PRINCIPAL]
        try:
            place = Place.of(scope["raw_path"], scope["query_string"])
            if scope["type"] == "websocket":
                await receive()  # websocket.connect
                await pages().converse(place, scope, receive, send, by=principal)
            elif place.ticket is None:
                await _redirect(send, await pages().enter(place, by=principal))
            elif place.is_bare:
                await _redirect(send, place.with_ticket(place.ticket))
            elif _is_preflight(scope):
                await send({"type": "http.response.start", "status": 204, "headers": preflight(dict(scope["headers"]))})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await _show(pages(), place, scope, receive, send, source=principal.source)
        except AppError as refused:
            await send_refusal(scope, send, to_app_error(refused), SHARED[0])

    return page


async def _show(pages: Pages, place: Place, scope: Scope, receive: Receive, send: Send, *, source: str) -> None:
    """Show a page; a person whose ticket ran out is led to where there is another."""
    try:
        await pages.show(place, scope, receive, send, source=source)
    except TicketSpentError:
        if scope["method"] != "GET" or _NAVIGATION not in scope["headers"]:
            raise
        await _redirect(send, place.without_ticket)


async def _redirect(send: Send, to: str) -> None:
    body = msgspec.json.encode({"location": to})
    headers = [
        (b"location", to.encode("latin-1")),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"referrer-policy", b"no-referrer"),
    ]
    await send({"type": "http.response.start", "status": 307, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _is_preflight(scope: Scope) -> bool:
    return scope["method"] == "OPTIONS" and any(
        name == b"access-control-request-method" for name, _ in scope["headers"]
    )
