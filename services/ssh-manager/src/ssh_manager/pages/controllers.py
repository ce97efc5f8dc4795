"""HTTP and WebSocket: the pages of instances.

A raw ASGI handler: what belongs to the instance is not looked into, parsed or kept.
"""

from collections.abc import Callable

import msgspec
from litestar import asgi
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler
from litestar.types import HTTPScope, Receive, Scope, Send

from shoal.errors import AppError
from shoal.http.auth import PRINCIPAL
from shoal.http.errors import refusal, request_id_of, to_app_error
from shoal.http.families import CLAWORC
from shoal.identity import Principal
from ssh_manager.pages.domain import Place, preflight
from ssh_manager.pages.errors import TicketSpentError
from ssh_manager.pages.usecases.pages import Pages

_PREFIX = "/api/v1/instances/{instance_id:str}"
PATHS = [f"{_PREFIX}/{kind}{rest}" for kind in ("desktop", "control") for rest in ("", "/{rest:path}")]
ROUTE = "/api/v1/instances/{instance_id}/{desktop|control}/**"
_NAVIGATION = (b"sec-fetch-mode", b"navigate")


def pages_handler(pages: Callable[[], Pages]) -> ASGIRouteHandler:
    """Make the handler of everything that instances serve."""

    @asgi(PATHS)
    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        scope["path_template"] = ROUTE
        principal: Principal = scope[PRINCIPAL]  # type: ignore[literal-required]
        try:
            place = Place.of(scope["raw_path"], scope["query_string"])
            if scope["type"] == ScopeType.WEBSOCKET:
                await pages().converse(place, scope, receive, send, by=principal)  # type: ignore[arg-type]
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
            await _refuse(scope, send, refused)

    return page


async def _show(pages: Pages, place: Place, scope: HTTPScope, receive: Receive, send: Send, *, source: str) -> None:
    """Show a page; a person whose ticket ran out is led to where there is another."""
    try:
        await pages.show(place, scope, receive, send, source=source)  # type: ignore[arg-type]
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


async def _refuse(scope: Scope, send: Send, error: AppError) -> None:
    """Say no: to a socket before it is accepted, with the same words."""
    accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
    written = refusal(to_app_error(error), family=CLAWORC, request_id=request_id_of(scope), accept=accept)
    headers = [(name.encode(), value.encode()) for name, value in written.headers.items()]
    headers += [(b"content-length", b"%d" % len(written.body)), (b"access-control-allow-origin", b"*")]
    if scope["type"] == ScopeType.WEBSOCKET:
        await send({"type": "websocket.http.response.start", "status": written.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": written.body, "more_body": False})
        return
    await send({"type": "http.response.start", "status": written.status, "headers": headers})
    await send({"type": "http.response.body", "body": written.body, "more_body": False})


def _is_preflight(scope: HTTPScope) -> bool:
    return scope["method"] == "OPTIONS" and any(
        name == b"access-control-request-method" for name, _ in scope["headers"]
    )
