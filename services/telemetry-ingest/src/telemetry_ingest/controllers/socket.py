"""WebSocket `/telemetry`.

A raw ASGI handler: a frame is taken from the server and answered without any layer between, since there are many.
"""

from collections.abc import Callable

from litestar import asgi
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from shoal.http.auth import PRINCIPAL
from telemetry_ingest.errors import UpgradeRequiredError
from telemetry_ingest.usecases.socket import Socket


def telemetry_socket(make: Callable[..., Socket]) -> ASGIRouteHandler:
    """Make the handler.

    Args:
        make: Makes a socket of receive, send and the principal that the door verified.
    """

    @asgi("/telemetry")
    async def telemetry(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.WEBSOCKET:
            raise UpgradeRequiredError
        scope["path_template"] = "/telemetry"
        await receive()
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        await make(receive, send, scope[PRINCIPAL]).hold()  # type: ignore[literal-required]

    return telemetry
