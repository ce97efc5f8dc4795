"""The connections to each upstream: bounded, shared, kept for reuse."""

import asyncio
from collections import deque

from msgspec import Struct

from gateway.proxy.breaker import Breaker, RetryBudget
from gateway.proxy.connection import UpstreamConnection
from gateway.proxy.errors import UpstreamBusyError, UpstreamTimeoutError, UpstreamUnreachableError

Address = tuple[str, int]


class PoolLimits(Struct, frozen=True, kw_only=True):
    """Bounds of the pool of one upstream; times in seconds.

    A connection unused for `idle` is closed; that must be sooner than the upstream would (75 s), or a request
    may meet the closing.
    """

    connections: int = 1024
    waiting: int = 1024
    connect: float = 2.0
    wait: float = 2.0
    idle: float = 30.0


class Upstream:
    """One upstream: its connections, its breaker and its retry budget.

    The last connection returned is the first reused, so that surplus ones grow idle and are closed. When all
    are in use, requests wait in line; a returned connection goes to the first in line, and a lost one lets
    it open another.
    """

    def __init__(self, address: Address, limits: PoolLimits) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._idle: deque[UpstreamConnection] = deque()
        self._waiting: deque[asyncio.Future[UpstreamConnection | None]] = deque()
        self._open = 0
        self._sweep: asyncio.TimerHandle | None = None
        self._is_draining = False
        self.address = address
        self.authority = (
            f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
        ).encode()
        self.breaker = Breaker(self._loop.time)
        self.budget = RetryBudget()

    @property
    def open(self) -> int:
        """How many connections there are, busy and idle."""
        return self._open

    @property
    def idle(self) -> int:
        """How many connections wait to be used."""
        return len(self._idle)

    def take(self) -> UpstreamConnection | None:
        """Take an idle connection, if there is one."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closing:
                return connection
        return None

    async def acquire(self) -> UpstreamConnection:
        """Open a connection, or wait for one; for when there is none to take.

        Raises:
            UpstreamUnreachableError: It was refused, or there is no way there.
            UpstreamTimeoutError: It could not be opened in time.
            UpstreamBusyError: All are in use, and the line is full or did not move in time.
        """
        while self._open >= self._limits.connections:
            returned = await self._wait_in_line()
            if returned is not None and not returned.is_closing:
                return returned
        return await self.connect()

    async def connect(self) -> UpstreamConnection:
        """Open a connection, whether or not others are idle.

        Raises:
            UpstreamUnreachableError: It was refused, or there is no way there.
            UpstreamTimeoutError: It could not be opened in time.
        """
        connection = UpstreamConnection(self._loop, self._on_lost)
        self._open += 1
        try:
            async with asyncio.timeout(self._limits.connect):
                await self._loop.create_connection(lambda: connection, *self.address)
        except BaseException as error:
            if connection.is_made:
                connection.abort()
            else:
                self._free_slot()
            if isinstance(error, TimeoutError):
                raise UpstreamTimeoutError from error
            if isinstance(error, OSError):
                raise UpstreamUnreachableError from error
            raise
        return connection

    def release(self, connection: UpstreamConnection, *, reusable: bool) -> None:
        """Give a connection back, or away when it is not `reusable`."""
        if not reusable or self._is_draining or connection.is_closing:
            connection.abort()
            return
        connection.is_idle = True
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        connection.idle_since = self._loop.time()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = self._loop.call_later(self._limits.idle, self._close_idle)

    def close(self) -> None:
        """Close what is idle, and from now on whatever is given back."""
        self._is_draining = True
        if self._sweep is not None:
            self._sweep.cancel()
        while self._idle:
            self._idle.pop().abort()

    async def _wait_in_line(self) -> UpstreamConnection | None:
        if len(self._waiting) >= self._limits.waiting:
            raise UpstreamBusyError
        waiter: asyncio.Future[UpstreamConnection | None] = self._loop.create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(self._limits.wait):
                return await waiter
        except BaseException as error:
            self._hand_on(waiter)
            if isinstance(error, TimeoutError):
                raise UpstreamBusyError from None
            raise

    def _hand_on(self, waiter: asyncio.Future[UpstreamConnection | None]) -> None:
        """Pass on what was handed to somebody who had just given up."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        elif waiter.cancelled():
            return  # passed over
        elif (connection := waiter.result()) is not None:
            self.release(connection, reusable=True)
        else:
            self._call_next()

    def _call_next(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _free_slot(self) -> None:
        self._open -= 1
        self._call_next()

    def _on_lost(self, connection: UpstreamConnection) -> None:
        if connection.is_idle and connection in self._idle:
            self._idle.remove(connection)
        self._free_slot()

    def _close_idle(self) -> None:
        self._sweep = None
        now = self._loop.time()
        while self._idle and now - self._idle[0].idle_since >= self._limits.idle:
            self._idle.popleft().abort()
        if self._idle:
            due = self._idle[0].idle_since + self._limits.idle
            self._sweep = self._loop.call_at(due, self._close_idle)


class Pool:
    """All upstreams of a gateway, each by its address."""

    def __init__(self, limits: PoolLimits | None = None) -> None:
        self._limits = limits or PoolLimits()
        self._upstreams: dict[Address, Upstream] = {}

    def upstream(self, address: Address) -> Upstream:
        """Find an upstream; the first call of it for an address makes it, within a running loop."""
        upstream = self._upstreams.get(address)
        if upstream is None:
            upstream = self._upstreams[address] = Upstream(address, self._limits)
        return upstream

    def close(self) -> None:
        """Close idle connections now and busy ones as they are given back."""
        for upstream in self._upstreams.values():
            upstream.close()
