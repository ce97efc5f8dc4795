"""One request under way, and the clock that watches all of them.

A timer and a listening task per request would cost nearly as much as forwarding it. So one coarse clock looks
at all requests every `TICK`: it interrupts the ones past their deadline, and for each that it sees a second
time it starts the task that listens for the caller hanging up.
"""

import asyncio
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any

from gateway.proxy.errors import CallerGoneError, DrainingError, ProxyError, UpstreamTimeoutError
from gateway.routes import Route
from shoal.http.asgi import Receive, Scope, Send

TICK = 0.05
"""Seconds between two looks: how late a deadline may be noticed."""


class Exchange:
    """A caller's request, and what the clock must know of it.

    The task that works on the request states by `expect` what it waits for, and is cancelled when that takes
    too long; `failure` then says why. Only one coroutine at a time may receive from the caller: the worker
    while `may_listen` is false, the listener afterwards.
    """

    __slots__ = (
        "_late", "_listener", "_task", "_was_seen", "deadline", "failure", "has_started", "is_sent", "may_listen",
        "receive", "route", "scope", "send",
    )  # fmt: skip

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, route: Route, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.route = route
        self.deadline = inf
        self.failure: ProxyError | None = None
        self.has_started = False  # an answer, on its way to the caller
        self.is_sent = True  # the request, to its end
        self.may_listen = True
        self._late: type[ProxyError] = UpstreamTimeoutError
        self._listener: asyncio.Task[None] | None = None
        self._was_seen = False
        self._task = asyncio.current_task(loop)  # named, since finding the loop costs a system call

    def expect(self, deadline: float, late: type[ProxyError] = UpstreamTimeoutError) -> None:
        """State what comes next: until when, in the loop's time, and what it means if it does not."""
        self.deadline = deadline
        self._late = late

    def interrupt(self, failure: ProxyError) -> None:
        """Stop the work with a reason; the first one counts."""
        if self.failure is None and self._task is not None:
            self.failure = failure
            self._task.cancel()

    def failure_of(self, error: ProxyError | asyncio.CancelledError) -> ProxyError:
        """Tell, once, what the work failed of: what was raised, or why `interrupt` cancelled it.

        Raises:
            CancelledError: Something else cancelled it too.
        """
        if isinstance(error, ProxyError):
            return error
        if self.failure is None or self._task is None or self._task.uncancel() != 0:
            raise error
        return self.failure

    def tick(self, now: float) -> None:
        """Look at the clock."""
        if now >= self.deadline:
            self.interrupt(self._late())
        elif self.may_listen:
            if self._was_seen:
                self.listen(self.hear_caller())
            self._was_seen = True

    def listen(self, listening: Coroutine[Any, Any, None]) -> None:
        """Run the coroutine that from now on receives from the caller, for as long as the exchange lasts."""
        self.may_listen = False
        self._listener = asyncio.create_task(listening)

    async def hear_caller(self) -> None:
        """Wait for the caller to hang up; it has nothing else to say any more."""
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.interrupt(CallerGoneError())

    def stop_listening(self) -> None:
        """Receive no more from the caller."""
        self.may_listen = False
        if self._listener is not None:
            self._listener.cancel()

    def end(self) -> None:
        """Stop listening; no interruption comes any more."""
        self._task = None
        self.stop_listening()


class Exchanges:
    """All requests under way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, tick: float = TICK) -> None:
        self._loop = loop
        self._tick_every = tick
        self._running: set[Exchange] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None

    def __len__(self) -> int:
        return len(self._running)

    def begin(self, exchange: Exchange) -> None:
        """Watch over a request."""
        self._running.add(exchange)
        if self._timer is None:
            self._timer = self._loop.call_later(self._tick_every, self._tick)

    def end(self, exchange: Exchange) -> None:
        """Let go of a request."""
        exchange.end()
        self._running.discard(exchange)
        if self._emptied is not None and not self._running:
            self._emptied.set()

    def scopes(self) -> list[Scope]:
        """List whose requests they are."""
        return [exchange.scope for exchange in self._running]

    def cut(self, applies: Callable[[Scope], bool], failure: type[ProxyError]) -> None:
        """Interrupt those to whose scope something applies."""
        for exchange in tuple(self._running):
            if applies(exchange.scope):
                exchange.interrupt(failure())

    async def drain(self, deadline: float) -> None:
        """Wait until none is left; interrupt those that are at `deadline`, in the loop's time."""
        if not self._running:
            return
        self._emptied = asyncio.Event()
        try:
            async with asyncio.timeout_at(deadline):
                await self._emptied.wait()
        except TimeoutError:
            for exchange in tuple(self._running):
                exchange.interrupt(DrainingError())
            await self._emptied.wait()

    def _tick(self) -> None:
        self._timer = None
        if self._running:
            now = self._loop.time()
            for exchange in tuple(self._running):
                exchange.tick(now)
            self._timer = self._loop.call_later(self._tick_every, self._tick)
