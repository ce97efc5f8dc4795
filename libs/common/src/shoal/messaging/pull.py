"""Receiving: pulls on durable consumers, acknowledgements, and core subjects."""

import asyncio
import contextlib
import copy
import json
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from shoal.messaging.errors import MessagingUnavailableError

_HEARTBEAT = "100"
_OVER = frozenset({"404", "408", "409"})
"""How a request ends in good order: nothing there, time is up, or the server itself goes."""


class Pull:
    """A pull on a durable consumer: whatever has arrived is handed over at once.

    nats-py's own `fetch` waits for a full batch or its time-out. Here one request is outstanding at a time; the server
    says every few seconds that it still has it, so one that was lost with a connection or a server is sent again.

    A message that somebody here still holds, unanswered, is kept: the server hears that it is being worked on. So the
    time after which it goes to another may be short, and a process that dies delays its messages no longer than that.
    """

    EXPIRES_S = 20.0
    HEARTBEAT_S = 2.0
    MAX_KEPT_S = 60.0

    def __init__(self, client: Client, stream: str, durable: str, *, ack_wait_s: float) -> None:
        self._client = client
        self._ack_wait_s = ack_wait_s
        self._kept: list[tuple[float, weakref.ref[Msg]]] = []
        self._keeping: asyncio.Task[None] | None = None
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._inbox = client.new_inbox()
        self._queue: asyncio.Queue[Msg] = asyncio.Queue()
        self._number = 0
        self._outstanding = 0
        self._heard_at = 0.0
        self._reconnects = 0
        self._lost: str | None = None
        self._subscription: Any = None

    @classmethod
    async def open(cls, client: Client, stream: str, durable: str, *, ack_wait_s: float) -> "Pull":
        """Subscribe to the answers; the first `next` sends the first request."""
        pull = cls(client, stream, durable, ack_wait_s=ack_wait_s)
        pull._subscription = await client.subscribe(f"{pull._inbox}.*", cb=pull._receive)
        pull._keeping = asyncio.create_task(pull._keep(), name=f"keep {durable}")
        return pull

    async def next(self, most: int) -> list[Msg]:
        """Wait for messages; returns all that have arrived, at least one and at most `most`.

        Raises:
            MessagingUnavailableError: The consumer is gone, or the server refuses: open a new pull.
        """
        batch: list[Msg] = []
        while True:
            while len(batch) < most and not self._queue.empty():
                self._take(self._queue.get_nowait(), batch)
            if batch:
                return batch
            if self._lost is not None:
                raise MessagingUnavailableError(f"The server ended a pull: {self._lost}.", retry_after_s=1)
            await self._request(most)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    self._take(await self._queue.get(), batch)

    async def close(self) -> None:
        """Stop receiving; messages not yet acknowledged are delivered to another."""
        if self._keeping is not None:
            self._keeping.cancel()
        with contextlib.suppress(NatsError, OSError):
            await self._subscription.unsubscribe()

    async def _receive(self, message: Msg) -> None:
        if not message.subject.startswith(self._inbox):
            message = copy.copy(message)  # nats-py holds the last one that it handed over
            self._kept.append((asyncio.get_running_loop().time(), weakref.ref(message)))
        await self._queue.put(message)

    async def _keep(self) -> None:
        """Tell the server of what is being worked on, each time a third of its patience is over."""
        pause_s = self._ack_wait_s / 3
        while True:
            await asyncio.sleep(pause_s)
            now = asyncio.get_running_loop().time()
            self._kept = [kept for kept in self._kept if now - kept[0] < self.MAX_KEPT_S and _is_open(kept[1]())]
            for arrived_at, reference in self._kept[:]:
                if now - arrived_at >= pause_s:
                    await _tell_progress(reference())

    def _take(self, message: Msg, batch: list[Msg]) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        if not message.subject.startswith(self._inbox):
            self._outstanding -= 1
            batch.append(message)
            return
        headers = message.headers or {}
        status, reason = headers.get("Status"), headers.get("Description", "nobody answers")
        if status != _HEARTBEAT and message.subject == self._reply:
            self._outstanding = 0
            if status not in _OVER or reason.lower().startswith("consumer"):
                self._lost = f"{status} {reason}"

    @property
    def _reply(self) -> str:
        return f"{self._inbox}.{self._number}"

    async def _request(self, most: int) -> None:
        if not self._client.is_connected or (self._outstanding > 0 and self._is_alive()):
            return
        self._number += 1
        self._outstanding = most
        self._heard_at = asyncio.get_running_loop().time()
        self._reconnects = self._client.stats["reconnects"]
        request = {
            "batch": most,
            "expires": int(self.EXPIRES_S * 1e9),
            "idle_heartbeat": int(self.HEARTBEAT_S * 1e9),
        }
        with contextlib.suppress(NatsError, OSError):
            await self._client.publish(self._subject, json.dumps(request).encode(), self._reply)

    def _is_alive(self) -> bool:
        silence = asyncio.get_running_loop().time() - self._heard_at
        return silence < 2.5 * self.HEARTBEAT_S and self._reconnects == self._client.stats["reconnects"]


def _is_open(message: Msg | None) -> bool:
    return message is not None and not message.is_acked


async def _tell_progress(message: Msg | None) -> None:
    if message is not None:
        with contextlib.suppress(NatsError, OSError):
            await message.in_progress()


async def acknowledge(message: Msg, *, timeout_s: float = 2) -> bool:
    """Acknowledge and wait until the server knows; False when that is not certain (it will deliver again)."""
    try:
        await message.ack_sync(timeout=timeout_s)
    except (NatsError, OSError, TimeoutError):
        return False
    return True


@contextlib.asynccontextmanager
async def subscribed(client: Client, subject: str, act: Callable[[Msg], Awaitable[None]]) -> AsyncIterator[None]:
    """Receive a core subject's messages while the block runs; the server knows of it before the block begins."""
    subscription = await client.subscribe(subject, cb=act)
    try:
        with contextlib.suppress(NatsError, OSError, TimeoutError):
            for _ in range(2):  # nats-py writes the first ping ahead of what it has buffered
                await client.flush(timeout=2)
        yield
    finally:
        with contextlib.suppress(NatsError, OSError):
            await subscription.unsubscribe()
