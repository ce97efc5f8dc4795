"""WebSockets `/ws`, `/ws/canvas` and `/ws/chat/{session}`.

Raw ASGI handlers: a frame is taken from the server and answered without any layer between, since there are many.
"""

from collections.abc import Callable, Sequence

from litestar import asgi
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from agent_runtime.sockets.errors import UpgradeRequiredError
from agent_runtime.sockets.usecases.socket import Socket
from shoal.http.auth import PRINCIPAL

MakeSocket = Callable[..., Socket]


def socket_doors(page: MakeSocket, canvas: MakeSocket, chat: MakeSocket) -> Sequence[ASGIRouteHandler]:
    """Make the handlers.

    Args:
        page: Makes a socket of receive, send and the principal that the door verified.
        canvas: The same, about what agents draw.
        chat: The same, and of a session's key.
    """

    @asgi("/ws")
    async def page_socket(scope: Scope, receive: Receive, send: Send) -> None:
        await _accept(scope, receive, send, "/ws")
        await page(receive, send, scope[PRINCIPAL]).hold()  # type: ignore[literal-required]

    @asgi("/ws/canvas")
    async def canvas_socket(scope: Scope, receive: Receive, send: Send) -> None:
        await _accept(scope, receive, send, "/ws/canvas")
        await canvas(receive, send, scope[PRINCIPAL]).hold()  # type: ignore[literal-required]

    @asgi("/ws/chat/{session:str}")
    async def chat_socket(scope: Scope, receive: Receive, send: Send) -> None:
        await _accept(scope, receive, send, "/ws/chat/{session}")
        session_key: str = scope["path_params"]["session"]
        await chat(receive, send, scope[PRINCIPAL], session_key).hold()  # type: ignore[literal-required]

    return page_socket, canvas_socket, chat_socket


async def _accept(scope: Scope, receive: Receive, send: Send, template: str) -> None:
    if scope["type"] != ScopeType.WEBSOCKET:
        raise UpgradeRequiredError
    scope["path_template"] = template
    await receive()
    await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
