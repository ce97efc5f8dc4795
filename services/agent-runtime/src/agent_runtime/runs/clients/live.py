"""What happens in runs, live: to whoever follows one, in this process or another.

Within a process items pass by queues. Between processes they are lines of core NATS messages on
`shoal.runs.live.<run>`, to which a process subscribes while somebody there follows the run. Nothing is kept: who misses
something reads it from the run's stored events, whose numbers have no gaps.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import msgspec
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from agent_runtime.runs.domain.runs import RunEvent, Token
from shoal.messaging import Bus

_MAX_WAITING = 1000
_CANCEL = "shoal.runs.cancel"


class LiveItem(msgspec.Struct, frozen=True):
    """An event or a token on its way between processes, and from which."""

    process: str
    event: RunEvent | None = None
    token: Token | None = None


class Follower:
    """One who follows a run; what overflows is lost here and read from the store."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[RunEvent | Token] = asyncio.Queue(_MAX_WAITING)

    def offer(self, item: RunEvent | Token) -> None:
        """Hand over an item, if there is room."""
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(item)

    async def next(self) -> RunEvent | Token:
        """Wait for an item."""
        return await self._queue.get()

    async def next_within(self, seconds: float) -> RunEvent | Token | None:
        """Wait for an item; None when there was none in time."""
        try:
            async with asyncio.timeout(seconds):
                return await self.next()
        except TimeoutError:
            return None


class Live:
    """The way between runs and those who follow them."""

    def __init__(self, bus: Bus, *, process: str) -> None:
        self._bus = bus
        self._process = process
        self._followers: dict[str, set[Follower]] = {}
        self._subscriptions: dict[str, Any] = {}
        self._remote: Counter[str] = Counter()
        self._decoder = msgspec.json.Decoder(LiveItem)

    async def tell(self, run_id: str, item: RunEvent | Token) -> None:
        """Hand an item to everybody who follows the run."""
        for follower in self._followers.get(run_id, ()):
            follower.offer(item)
        told = (
            LiveItem(self._process, event=item) if isinstance(item, RunEvent) else LiveItem(self._process, token=item)
        )
        await self._bus.publish_live(f"shoal.runs.live.{run_id}", msgspec.json.encode(told), is_line=True)

    @contextlib.asynccontextmanager
    async def following(self, run_id: str) -> AsyncIterator[Follower]:
        """Follow a run, wherever it is done."""
        with self.following_here(run_id) as follower:
            self._remote[run_id] += 1
            try:
                if run_id not in self._subscriptions:
                    self._subscriptions[run_id] = None
                    subject = f"shoal.runs.live.{run_id}"
                    self._subscriptions[run_id] = await self._subscribe(subject, self._taker(run_id))
                yield follower
            finally:
                self._remote[run_id] -= 1
                if not self._remote[run_id]:
                    del self._remote[run_id]
                    await _unsubscribe(self._subscriptions.pop(run_id, None))

    @contextlib.contextmanager
    def following_here(self, run_id: str) -> Iterator[Follower]:
        """Follow a run as long as it is done in this process."""
        follower = Follower()
        self._followers.setdefault(run_id, set()).add(follower)
        try:
            yield follower
        finally:
            self._followers[run_id].discard(follower)
            if not self._followers[run_id]:
                del self._followers[run_id]

    async def ask_cancel(self, run_id: str) -> None:
        """Ask every process to end a run."""
        await self._bus.publish_live(_CANCEL, run_id.encode())

    async def hear_cancels(self, cancel: Callable[[str], object]) -> Any:
        """Call `cancel` with every run that somebody wants ended, as long as the subscription stands."""

        async def take(message: Msg) -> None:
            cancel(message.data.decode("ascii", "replace"))

        return await self._subscribe(_CANCEL, take)

    def _taker(self, run_id: str) -> Callable[[Msg], Awaitable[None]]:
        async def take(message: Msg) -> None:
            for told in self._decoder.decode_lines(message.data):
                item = told.event or told.token
                if told.process != self._process and item is not None:
                    for follower in self._followers.get(run_id, ()):
                        follower.offer(item)

        return take

    async def _subscribe(self, subject: str, take: Callable[[Msg], Awaitable[None]]) -> Any:
        if not self._bus.is_connected:
            return None
        with contextlib.suppress(NatsError, OSError):
            return await self._bus.client.subscribe(subject, cb=take)
        return None


async def _unsubscribe(subscription: Any) -> None:
    if subscription is not None:
        with contextlib.suppress(NatsError, OSError):
            await subscription.unsubscribe()
