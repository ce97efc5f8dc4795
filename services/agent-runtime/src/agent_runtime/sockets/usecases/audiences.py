"""Audiences: who listens to an account's frames in this process, by the names that they subscribed to.

A frame is shown here at once, and published on `shoal.frames.<account>` for the other processes; each subscribes to
the accounts of which it holds sockets. A frame is written once per form, however many sockets get it. Frames are live
only: while NATS is away, other processes' browsers miss them, and read what stands when they ask.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol

import msgspec
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from agent_runtime.ports import Frame
from agent_runtime.sockets.domain.frames import Message, Numbers
from agent_runtime.sockets.domain.topics import forms_of
from agent_runtime.sockets.instruments import Instruments
from shoal.clock import Clock
from shoal.messaging import Bus, MessagingUnavailableError
from shoal_events import subjects

FRAMES = "shoal.frames"
ORIGIN = "shoal-origin"
FLUSH_S = 2

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Frame).decode


class Viewer(Protocol):
    """A socket, as those see it who show it frames."""

    def tell(self, message: Message) -> None:
        """Hear a message; must not wait."""
        ...


class _Audience:
    def __init__(self) -> None:
        self.by_name: defaultdict[str, set[Viewer]] = defaultdict(set)
        self.viewers: dict[Viewer, frozenset[str]] = {}
        self.subscription: Subscription | None = None

    def listen(self, viewer: Viewer, names: frozenset[str]) -> None:
        before = self.viewers.get(viewer, frozenset())
        self.viewers[viewer] = names
        for name in before - names:
            self.by_name[name].discard(viewer)
            if not self.by_name[name]:
                del self.by_name[name]
        for name in names - before:
            self.by_name[name].add(viewer)


class Audiences:
    """Everybody in this process who listens, by account. It is the port `Frames`.

    Args:
        process: This process; its own frames are not shown twice.
    """

    def __init__(self, bus: Bus, clock: Clock, instruments: Instruments, *, process: str) -> None:
        self._bus = bus
        self._clock = clock
        self._instruments = instruments
        self._process = process
        self._headers = {ORIGIN: process}
        self._numbers = Numbers(process)
        self._audiences: dict[str, _Audience] = {}
        self._changing = asyncio.Lock()

    async def publish(self, frame: Frame) -> None:
        """Show a frame to whoever listens right now, in every process."""
        self._show(frame)
        subject = f"{FRAMES}.{subjects.token(frame.account_id)}"
        await self._bus.publish_live(subject, _encode(frame), headers=self._headers, is_line=True)

    async def join(self, account_id: str, viewer: Viewer, names: Iterable[str]) -> None:
        """Let a viewer hear an account's frames of some names from now on.

        Raises:
            MessagingUnavailableError: NATS was never reached.
        """
        async with self._changing:
            audience = self._audiences.get(account_id)
            if audience is None:
                audience = _Audience()
                audience.subscription = await self._subscribe(account_id)
                self._audiences[account_id] = audience
            audience.listen(viewer, frozenset(names))

    def listen(self, account_id: str, viewer: Viewer, names: Iterable[str]) -> None:
        """Change what a viewer who joined hears, at once."""
        audience = self._audiences.get(account_id)
        if audience is not None and viewer in audience.viewers:
            audience.listen(viewer, frozenset(names))

    async def leave(self, account_id: str, viewer: Viewer) -> None:
        """Show a viewer no more; with an account's last one, hear no more of the account."""
        async with self._changing:
            audience = self._audiences.get(account_id)
            if audience is None:
                return
            audience.listen(viewer, frozenset())
            audience.viewers.pop(viewer, None)
            if not audience.viewers and audience.subscription is not None:
                del self._audiences[account_id]
                with contextlib.suppress(NatsError, OSError):
                    await audience.subscription.unsubscribe()

    def _show(self, frame: Frame) -> None:
        audience = self._audiences.get(frame.account_id)
        if audience is None:
            return
        at = self._clock.now()
        for form in forms_of(frame):
            listeners = [audience.by_name[name] for name in form.names if name in audience.by_name]
            viewers = set().union(*listeners)
            if viewers:
                for message in self._numbers.show(form, at):
                    for viewer in viewers:
                        viewer.tell(message)
                self._instruments.deliveries.inc(len(viewers) * len(form.payloads))

    async def _subscribe(self, account_id: str) -> Subscription:
        async def hear(message: Msg) -> None:
            if (message.headers or {}).get(ORIGIN) == self._process:
                return
            for line in message.data.split(b"\n"):
                try:
                    self._show(_decode(line))
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    structlog.get_logger().warning("frame_unreadable", subject=message.subject, error=repr(error))

        client = self._bus.client
        try:
            subscription = await client.subscribe(f"{FRAMES}.{subjects.token(account_id)}", cb=hear)
            if client.is_connected:
                await client.flush(FLUSH_S)
        except (NatsError, OSError, TimeoutError) as error:
            raise MessagingUnavailableError(retry_after_s=1) from error
        return subscription
