"""The WebSocket proxy: two sockets, one conversation."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from math import inf

from msgspec import Struct
from websockets.http11 import Response

from gateway.proxy.errors import (
    BodyTooLargeError,
    CallerStalledError,
    InvalidRequestError,
    ProxyError,
    Refuse,
    RevokedError,
    UpstreamBusyError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)
from gateway.proxy.exchange import Exchange, Exchanges
from gateway.proxy.headers import HeaderRules
from gateway.proxy.pool import Address, Pool, Upstream
from gateway.proxy.upstream_socket import UpstreamSocket
from gateway.routes import Route
from shoal.http.asgi import Headers, Message, Receive, Scope, Send

_SWITCHED = 101
_NORMAL = 1000
_GOING_AWAY = 1001
_NO_CODE = 1005
_ABNORMAL = 1006
_INTERNAL_ERROR = 1011
_SERVICE_RESTART = 1012
_TICK = 1.0
_GONE = (OSError, RuntimeError)
"""What an ASGI server raises when a message is meant for a caller that is no longer there."""


class SocketLimits(Struct, frozen=True, kw_only=True):
    """Bounds of the WebSocket proxy; times in seconds.

    A side that takes nothing for `stalled` loses its socket; a closed one has `goodbye` to answer. `message`
    bounds what an upstream may send at once, in bytes (what a caller may send, its route says).
    """

    sockets: int = 20_000
    connect: float = 2.0
    stalled: float = 60.0
    goodbye: float = 2.0
    message: int = 4 * 1024 * 1024


class WebSocketProxy:
    """Forwards WebSockets: messages as they are, and each side's close to the other.

    A caller is accepted only after the upstream has accepted; if that refuses, its answer is the caller's.
    Neither side is read faster than the other takes. A caller that vanished without a close is a lost
    connection to the upstream too; an upstream that vanished is 1014 to the caller.
    """

    def __init__(self, pool: Pool, refuse: Refuse, limits: SocketLimits | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = pool
        self._refuse = refuse
        self._limits = limits or SocketLimits()
        self._rules = HeaderRules()
        self._sockets = Exchanges(self._loop, tick=_TICK)

    @property
    def active(self) -> int:
        """How many sockets are open or being opened."""
        return len(self._sockets)

    async def forward(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        upstream: Address,
        headers: Headers,
        route: Route,
        response_headers: Headers | None = None,
        subprotocols: Sequence[str] | None = None,
    ) -> ProxyError | None:
        """Forward one socket, from its handshake to its end.

        Args:
            scope: ASGI scope of type `websocket`.
            receive: ASGI; nothing has been received yet.
            send: ASGI.
            upstream: Host and port.
            headers: Added to the handshake after the caller's have been stripped; lower case.
            route: Says what the handshake may take, and how large a message of the caller's may be.
            response_headers: Added to the answer, in place of the upstream's of the same names.
            subprotocols: Offered to the upstream instead of the caller's, as when one of those was a credential.

        Returns:
            None if one of the sides ended it; otherwise what else did. The caller has been told.
        """
        exchange = Exchange(scope, receive, send, route, self._loop)
        exchange.may_listen = False
        added = response_headers or []
        offered = scope["subprotocols"] if subprotocols is None else subprotocols
        self._sockets.begin(exchange)
        try:
            failure = await self._attempt(exchange, self._pool.upstream(upstream), headers, added, offered)
            if failure is not None:
                await self._tell(exchange, failure, added)
            return failure
        finally:
            self._sockets.end(exchange)

    def scopes(self) -> list[Scope]:
        """List whose sockets are under way."""
        return self._sockets.scopes()

    def cut(self, applies: Callable[[Scope], bool]) -> None:
        """Break off whatever was opened with a credential that is no longer good."""
        self._sockets.cut(applies, RevokedError)

    async def close(self) -> None:
        """Close all sockets: 1012 to callers, 1001 to upstreams."""
        await self._sockets.drain(self._loop.time())

    async def _attempt(
        self, exchange: Exchange, upstream: Upstream, headers: Headers, added: Headers, offered: Sequence[str]
    ) -> ProxyError | None:
        try:
            await exchange.receive()  # websocket.connect
            await self._relay(exchange, upstream, headers, added, offered)
        except (ProxyError, asyncio.CancelledError) as error:
            return exchange.failure_of(error)
        return None

    async def _relay(
        self, exchange: Exchange, upstream: Upstream, headers: Headers, added: Headers, offered: Sequence[str]
    ) -> None:
        if len(self._sockets) > self._limits.sockets:
            raise UpstreamBusyError
        upstream.breaker.admit()
        socket = UpstreamSocket(self._loop, subprotocols=offered, largest_message=self._limits.message)
        handshake = [
            *headers,
            (b"connection", b"Upgrade"),
            (b"upgrade", b"websocket"),
            (b"sec-websocket-version", b"13"),
            (b"sec-websocket-key", socket.key.encode()),
        ]
        if offered:
            handshake.append((b"sec-websocket-protocol", ", ".join(offered).encode("latin-1")))
        head = self._rules.request(exchange.scope, upstream.authority, handshake)
        if head.length != 0:
            raise InvalidRequestError
        answer = await self._open(socket, upstream, head.content, within=exchange.route.timeout)
        received = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.raw_items()]
        chosen, _ = self._rules.response(answer.status_code, received, added)
        if answer.status_code != _SWITCHED:
            socket.abort()
            await self._reject(exchange, answer.status_code, chosen, bytes(answer.body or b""))
            return
        await self._converse(exchange, socket, chosen)

    async def _open(self, socket: UpstreamSocket, upstream: Upstream, head: bytes, *, within: float) -> Response:
        """Connect and shake hands."""
        try:
            async with asyncio.timeout(self._limits.connect):
                await self._loop.create_connection(lambda: socket, *upstream.address)
            async with asyncio.timeout(within):
                answer = await socket.shake_hands(head)
        except OSError as error:  # a TimeoutError is one
            is_late = isinstance(error, TimeoutError)
            upstream.breaker.fail(was_refused=not is_late)
            socket.abort()
            raise (UpstreamTimeoutError if is_late else UpstreamUnreachableError) from error
        except BaseException:
            socket.abort()
            raise
        upstream.breaker.succeed()
        return answer

    async def _converse(self, exchange: Exchange, socket: UpstreamSocket, headers: Headers) -> None:
        """Accept the caller and pass messages both ways until a side closes; tell the upstream how the caller did."""
        answers: asyncio.Task[None] | None = None
        word: tuple[int | None, str] | None = (_GOING_AWAY, "")
        try:
            exchange.has_started = True
            await exchange.send({"type": "websocket.accept", "subprotocol": socket.subprotocol, "headers": headers})
            answers = self._loop.create_task(self._to_caller(exchange, socket))
            word = _last_word(await self._to_upstream(exchange, socket))
        except _GONE:
            word = None
        finally:
            if answers is not None:
                answers.cancel()
            if word is None:
                socket.abort()
            else:
                socket.close(*word, patience=self._limits.goodbye)

    async def _to_upstream(self, exchange: Exchange, socket: UpstreamSocket) -> Message:
        """Pass on what the caller sends; returns its `websocket.disconnect`."""
        receive, limit = exchange.receive, exchange.route.body_limit
        while True:
            message = await receive()
            text = message.get("text")
            data = message.get("bytes") if text is None else text.encode()
            if data is None:
                return message
            if len(data) > limit:
                raise BodyTooLargeError(limit)
            if text is None:
                socket.send_binary(data)
            else:
                socket.send_text(data)
            if socket.is_full:
                await self._drain(socket)

    async def _drain(self, socket: UpstreamSocket) -> None:
        try:
            async with asyncio.timeout(self._limits.stalled):
                await socket.drain()
        except TimeoutError:
            raise UpstreamTimeoutError from None

    async def _to_caller(self, exchange: Exchange, socket: UpstreamSocket) -> None:
        """Pass on what the upstream sends, and at last its close."""
        send, now, stalled = exchange.send, self._loop.time, self._limits.stalled
        with contextlib.suppress(*_GONE):
            while True:
                for message in socket.take():
                    exchange.expect(now() + stalled, CallerStalledError)
                    await send(message)
                exchange.deadline = inf
                if socket.ended is not None and not socket.has_messages:
                    break
                await socket.more()
            code, reason = socket.ended
            await send(_close(_NORMAL if code == _NO_CODE else code, reason))

    async def _reject(self, exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
        """Answer a handshake with an HTTP response, where the server can; else with nothing but a no."""
        with contextlib.suppress(*_GONE):
            if "websocket.http.response" not in (exchange.scope.get("extensions") or {}):
                await exchange.send(_close(_INTERNAL_ERROR))
                return
            start = {"type": "websocket.http.response.start", "status": status, "headers": headers}
            await exchange.send(start)
            await exchange.send({"type": "websocket.http.response.body", "body": body})

    async def _tell(self, exchange: Exchange, failure: ProxyError, added: Headers) -> None:
        if not exchange.has_started:
            headers, body = failure.write(self._refuse, exchange.scope, added)
            await self._reject(exchange, failure.status, headers, body)
        elif not isinstance(failure, CallerStalledError):
            with contextlib.suppress(TimeoutError, *_GONE):
                async with asyncio.timeout(self._limits.goodbye):
                    await exchange.send(_close(failure.close_code, failure.message))


def _close(code: int, reason: str = "") -> Message:
    return {"type": "websocket.close", "code": code, "reason": reason}


def _last_word(message: Message) -> tuple[int | None, str] | None:
    """Read a `websocket.disconnect`: the code (None if the caller gave none) and reason; None if it just vanished.

    A server gives a reason, be it empty, only with a close frame that was received. Its own 1012, when it
    shuts down, is this gateway going away.
    """
    code: int = message.get("code", _NO_CODE)
    reason: str | None = message.get("reason")
    if reason is None:
        vanished = code in {_NO_CODE, _ABNORMAL}
        return None if vanished else (_GOING_AWAY if code == _SERVICE_RESTART else code, "")
    return (None, "") if code == _NO_CODE else (code, reason)
