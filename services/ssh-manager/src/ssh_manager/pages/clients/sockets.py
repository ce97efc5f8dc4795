"""One WebSocket through a tunnel: messages as they are, and each side's close to the other."""

import asyncio
import contextlib
from typing import Any

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Origin, Subprotocol

from shoal.http.asgi import Message, Receive, Scope, Send
from shoal.tasks import end
from ssh_manager.pages.domain import Place, Stay, to_page
from ssh_manager.pages.errors import PageTimeoutError, PageUnreachableError
from ssh_manager.ports import TunnelState

OPEN_S, CLOSE_S = 10.0, 2.0
LARGEST_MESSAGE = 4 * 1024 * 1024
MAX_WAITING = 16
"""Messages of a page that may wait here for the browser to take them."""
NORMAL, NO_CODE, ABNORMAL, LOST = 1000, 1005, 1006, 1014
_NO_ORIGIN: Origin | None = None


class SocketPages:
    """Carries sockets."""

    async def carry(
        self,
        place: Place,
        tunnel: TunnelState,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        stay: Stay,
    ) -> None:
        """Connect a socket that waits to be accepted with the page's; returns when both are closed.

        Raises:
            PageUnreachableError: Nobody answers at the other end of the tunnel.
            PageTimeoutError: Not in time.
        """
        try:
            page = await self._connect(place, tunnel, scope)
        except InvalidStatus as refused:
            await _refuse(send, refused)
            return
        try:
            await send({"type": "websocket.accept", "subprotocol": page.subprotocol, "headers": []})
            await _converse(page, receive, send, stay)
        finally:
            with contextlib.suppress(Exception):
                await page.close()

    async def _connect(self, place: Place, tunnel: TunnelState, scope: Scope) -> ClientConnection:
        host = f"localhost:{tunnel.remote_port}"
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in to_page(scope["headers"], place, host)
            if name not in {b"host", b"user-agent"}
        ]
        try:
            return await connect(
                f"ws://{host}{place.rest}",
                host="127.0.0.1",
                port=tunnel.local_port,
                origin=_NO_ORIGIN,
                subprotocols=[Subprotocol(name) for name in scope.get("subprotocols") or ()] or None,
                additional_headers=headers,
                user_agent_header=None,
                compression=None,
                open_timeout=OPEN_S,
                close_timeout=CLOSE_S,
                ping_interval=None,
                max_size=LARGEST_MESSAGE,
                max_queue=MAX_WAITING,
                proxy=None,
                process_exception=_give_up,
            )
        except InvalidStatus:
            raise
        except TimeoutError as error:
            raise PageTimeoutError from error
        except (OSError, EOFError, InvalidHandshake, InvalidURI) as error:
            raise PageUnreachableError from error


async def _converse(page: ClientConnection, receive: Receive, send: Send, stay: Stay) -> None:
    """Pass messages both ways until a side closes, or what let the caller in does not hold any more."""
    to_page_task = asyncio.ensure_future(_to_page(page, receive))
    to_caller = asyncio.ensure_future(_to_caller(page, send))
    ended = asyncio.ensure_future(stay.ended.wait())
    tasks: list[asyncio.Future[Any]] = [to_page_task, to_caller, ended]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if to_page_task.done() and (said := to_page_task.result()) is not None:
            await _say_goodbye(page, said)
            return
        if ended.done() and not to_caller.done():
            await end([to_caller])
            await _close(send, stay.reason.code, stay.reason.reason)
            return
        await asyncio.wait({to_caller}, timeout=CLOSE_S)
        code = page.close_code or ABNORMAL
        if code == ABNORMAL:
            await _close(send, LOST, "the page was lost")
        else:
            await _close(send, NORMAL if code == NO_CODE else code, page.close_reason or "")
    finally:
        await end(tasks)


async def _to_page(page: ClientConnection, receive: Receive) -> Message | None:
    """Pass on what the caller sends; returns its `websocket.disconnect`, or None when the page is gone."""
    with contextlib.suppress(ConnectionClosed):
        while (message := await receive())["type"] != "websocket.disconnect":
            text = message.get("text")
            await page.send(message["bytes"] if text is None else text)
        return message
    return None


async def _to_caller(page: ClientConnection, send: Send) -> None:
    with contextlib.suppress(ConnectionClosed, OSError, RuntimeError):
        async for message in page:
            if isinstance(message, str):
                await send({"type": "websocket.send", "text": message})
            else:
                await send({"type": "websocket.send", "bytes": message})


async def _say_goodbye(page: ClientConnection, said: Message) -> None:
    code = said.get("code", NO_CODE)
    if code == ABNORMAL:
        page.transport.abort()
        return
    await page.close(NORMAL if code == NO_CODE else code, said.get("reason") or "")


async def _close(send: Send, code: int, reason: str) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        await send({"type": "websocket.close", "code": code, "reason": reason})


async def _refuse(send: Send, refused: InvalidStatus) -> None:
    """Give the page's refusal to the caller, as far as it says why."""
    response = refused.response
    structlog.get_logger().info("page_refused_socket", status=response.status_code)
    body = bytes(response.body or b"")
    kind = next(iter(response.headers.get_all("content-type")), "text/plain").encode("latin-1", "replace")
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "websocket.http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


def _give_up(error: Exception) -> Exception | None:
    return error
