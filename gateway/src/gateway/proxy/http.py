"""The HTTP proxy: one request in, the same request out, the answer back, both streamed."""

import asyncio
from collections.abc import Callable
from math import inf

from msgspec import Struct

from gateway.proxy.connection import UpstreamConnection
from gateway.proxy.errors import (
    BodyTooLargeError,
    CallerGoneError,
    CallerStalledError,
    ProxyError,
    Refuse,
    RequestTimeoutError,
    RevokedError,
    UpstreamLostError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)
from gateway.proxy.exchange import Exchange, Exchanges
from gateway.proxy.headers import HeaderRules, RequestHead
from gateway.proxy.pool import Address, Pool, Upstream
from gateway.routes import Route
from shoal.http.asgi import Headers, Message, Receive, Scope, Send

_REPEATABLE = frozenset(("GET", "HEAD", "OPTIONS"))
_RETRY_PAUSE = 0.05
_NOTHING: Message = {"type": "http.request", "body": b"", "more_body": False}


class Timeouts(Struct, frozen=True, kw_only=True):
    """How long the proxy waits, in seconds, beyond what a route says about the beginning of an answer.

    `body` between two parts of a request, `idle` between two parts of an answer (and for the caller to take
    one), `total` for an answer that is not streaming.
    """

    body: float = 30.0
    idle: float = 60.0
    total: float = 300.0


class HttpProxy:
    """Forwards requests to upstreams over pooled connections.

    An answer is passed on as it arrives, no faster than the caller takes it, and is either passed on whole or
    visibly broken off. A request goes out a second time only if it cannot have been acted upon: the
    connection was refused, or a kept-alive one turned out to be dead before it gave a byte, and the method is
    safe and had no body. When the caller hangs up, the upstream connection is closed; that is how a service
    learns of it.
    """

    def __init__(self, pool: Pool, refuse: Refuse, timeouts: Timeouts | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = pool
        self._refuse = refuse
        self._timeouts = timeouts or Timeouts()
        self._rules = HeaderRules()
        self._exchanges = Exchanges(self._loop)

    @property
    def active(self) -> int:
        """How many requests are under way."""
        return len(self._exchanges)

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
    ) -> ProxyError | None:
        """Forward one request and its answer.

        Args:
            scope: ASGI scope of type `http`.
            receive: ASGI.
            send: ASGI.
            upstream: Host and port.
            headers: Added to the request after the caller's have been stripped; lower case.
            route: Says what the request may take.
            response_headers: Added to the answer, in place of the upstream's of the same names.

        Returns:
            None if the answer went through whole. Otherwise what went wrong: the caller has been told, or, when
            the answer had begun, must not be: return without sending more, so that the server breaks it off.
        """
        added = response_headers or []
        exchange = Exchange(scope, receive, send, route, self._loop)
        self._exchanges.begin(exchange)
        target = self._pool.upstream(upstream)
        try:
            await self._relay(exchange, target, headers, added)
        except (ProxyError, asyncio.CancelledError) as error:
            failure = exchange.failure_of(error)
        else:
            return None
        finally:
            self._exchanges.end(exchange)
        await self._fail(exchange, target, failure, added)
        return failure

    def scopes(self) -> list[Scope]:
        """List whose requests are under way."""
        return self._exchanges.scopes()

    def cut(self, applies: Callable[[Scope], bool]) -> None:
        """Break off whatever was opened with a credential that is no longer good."""
        self._exchanges.cut(applies, RevokedError)

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - the whole drain's, then all is interrupted
        """Close idle connections, wait for requests under way, and interrupt those left after `timeout` seconds."""
        self._pool.close()
        await self._exchanges.drain(self._in(timeout))

    async def _relay(self, exchange: Exchange, upstream: Upstream, headers: Headers, added: Headers) -> None:
        upstream.breaker.admit()
        head = self._rules.request(exchange.scope, upstream.authority, headers)
        body = _NOTHING if head.length == 0 else await self._first_part(exchange, head)
        connection = await self._ask(exchange, upstream, head, body)
        upstream.breaker.succeed()
        await self._answer(exchange, upstream, connection, added)

    async def _first_part(self, exchange: Exchange, head: RequestHead) -> Message:
        """Receive the beginning of a body, before anything is asked of the upstream."""
        if head.length is not None and head.length > exchange.route.body_limit:
            raise BodyTooLargeError(exchange.route.body_limit)
        exchange.may_listen = False
        exchange.expect(self._in(self._timeouts.body), RequestTimeoutError)
        message = await exchange.receive()
        if message["type"] == "http.disconnect":
            raise CallerGoneError
        if len(message.get("body", b"")) > exchange.route.body_limit:
            raise BodyTooLargeError(exchange.route.body_limit)
        exchange.may_listen = not message.get("more_body", False)
        return message

    async def _ask(
        self, exchange: Exchange, upstream: Upstream, head: RequestHead, body: Message
    ) -> UpstreamConnection:
        """Send the request, once more if it never arrived, and wait for the head of the answer."""
        upstream.budget.earn()
        connection = upstream.take() or await self._reach(exchange, upstream)
        while True:
            try:
                self._start(exchange, connection, head, body)
                await connection.head()
            except BaseException as error:
                upstream.release(connection, reusable=False)
                if not isinstance(error, UpstreamLostError) or not _may_repeat(exchange, connection, head):
                    raise
                if not upstream.budget.spend():
                    raise
            else:
                return connection
            connection = await upstream.connect()  # a new one, whose loss is final

    async def _reach(self, exchange: Exchange, upstream: Upstream) -> UpstreamConnection:
        exchange.deadline = inf  # the pool has limits of its own
        try:
            return await upstream.acquire()
        except UpstreamUnreachableError:
            if not upstream.budget.spend():
                raise
        await asyncio.sleep(_RETRY_PAUSE)
        return await upstream.connect()

    def _start(self, exchange: Exchange, connection: UpstreamConnection, head: RequestHead, body: Message) -> None:
        is_whole = not body.get("more_body", False)
        first = head.content if body is _NOTHING or not is_whole else head.content + _framed(body, head)
        connection.start(first)
        if not is_whole:
            exchange.is_sent = False
            exchange.listen(self._send_body(exchange, connection, head, body))
        exchange.expect(self._in(exchange.route.timeout))

    async def _send_body(
        self, exchange: Exchange, connection: UpstreamConnection, head: RequestHead, body: Message
    ) -> None:
        """Pass on a body as it comes, then listen for the caller hanging up.

        The clock is this coroutine's until the answer begins: the upstream's time runs from the end of the
        body.
        """
        size = 0
        while True:
            size += len(body.get("body", b""))
            if size > exchange.route.body_limit:
                exchange.interrupt(BodyTooLargeError(exchange.route.body_limit))
                return
            connection.write(_framed(body, head))
            if not body.get("more_body", False):
                break
            if not connection.has_head:
                exchange.expect(self._in(self._timeouts.idle))
            await connection.drain()
            if not connection.has_head:
                exchange.expect(self._in(self._timeouts.body), RequestTimeoutError)
            body = await exchange.receive()
            if body["type"] == "http.disconnect":
                exchange.interrupt(CallerGoneError())
                return
        exchange.is_sent = True
        if not connection.has_head:
            exchange.expect(self._in(exchange.route.timeout))
        await exchange.hear_caller()

    async def _answer(
        self, exchange: Exchange, upstream: Upstream, connection: UpstreamConnection, added: Headers
    ) -> None:
        """Pass on the answer as it comes; the connection is given back before the last part is."""
        send = exchange.send
        try:
            headers, is_events = self._rules.response(connection.status, connection.headers, added)
            exchange.has_started = True
            exchange.expect(self._in(self._timeouts.idle), CallerStalledError)
            await send({"type": "http.response.start", "status": connection.status, "headers": headers})
            part = connection.take()
            if exchange.scope["method"] == "HEAD":
                part = b""
            elif not connection.is_complete:
                part = await self._stream(exchange, connection, part, endless=is_events or exchange.route.streaming)
            if not exchange.is_sent:
                exchange.stop_listening()
        except BaseException:
            upstream.release(connection, reusable=False)
            raise
        is_reusable = connection.is_complete and connection.is_kept_alive and exchange.is_sent
        upstream.release(connection, reusable=is_reusable)
        await send({"type": "http.response.body", "body": part})

    async def _stream(self, exchange: Exchange, connection: UpstreamConnection, part: bytes, *, endless: bool) -> bytes:
        """Pass on all of a body but its last part, which is returned; an empty first part lets the head go."""
        idle = self._timeouts.idle
        end = inf if endless else self._in(self._timeouts.total)
        is_first = True
        while not connection.is_complete:
            if part or is_first:
                is_first = False
                exchange.expect(min(self._in(idle), end), CallerStalledError)
                await exchange.send({"type": "http.response.body", "body": part, "more_body": True})
            else:
                exchange.expect(min(self._in(idle), end))
                await connection.more()
            part = connection.take()
        return part

    async def _fail(self, exchange: Exchange, upstream: Upstream, failure: ProxyError, added: Headers) -> None:
        """Account for a failure, and tell the caller of it if the answer has not begun."""
        if exchange.has_started:
            return
        if isinstance(failure, (UpstreamUnreachableError, UpstreamTimeoutError)):
            upstream.breaker.fail(was_refused=isinstance(failure, UpstreamUnreachableError))
        if isinstance(failure, (CallerGoneError, CallerStalledError)):
            return
        headers, body = failure.write(self._refuse, exchange.scope, added)
        await exchange.send({"type": "http.response.start", "status": failure.status, "headers": headers})
        await exchange.send({"type": "http.response.body", "body": body})

    def _in(self, seconds: float) -> float:
        return self._loop.time() + seconds


def _framed(message: Message, head: RequestHead) -> bytes:
    """Frame a part of a body as its head says."""
    body: bytes = message.get("body", b"")
    if head.length is not None:
        return body
    part = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return part if message.get("more_body", False) else part + b"0\r\n\r\n"


def _may_repeat(exchange: Exchange, connection: UpstreamConnection, head: RequestHead) -> bool:
    """Tell whether a lost request cannot have been acted upon, or may be acted upon twice."""
    is_stale = connection.exchanges > 1 and connection.is_untouched
    return is_stale and head.length == 0 and exchange.scope["method"] in _REPEATABLE
