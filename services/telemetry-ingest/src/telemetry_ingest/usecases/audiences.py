"""Audiences: who watches an account live.

One NATS subscription per account and process, one serialisation per frame.
"""

import asyncio
import contextlib
from typing import Protocol

import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from shoal.messaging import Bus, MessagingUnavailableError
from shoal_events import subjects
from telemetry_ingest.instruments import Instruments
from telemetry_ingest.usecases.outgoing import Message, text_message

FLUSH_S = 2


class Viewer(Protocol):
    """A socket, as those see it who show it frames."""

    def show(self, agent_id: str, kind: str, message: Message) -> None:
        """See a frame; must not wait."""
        ...


class _Audience:
    def __init__(self) -> None:
        self.viewers: set[Viewer] = set()
        self.subscription: Subscription | None = None


class Audiences:
    """Everybody in this process who watches, by account."""

    def __init__(self, bus: Bus, instruments: Instruments) -> None:
        self._bus = bus
        self._instruments = instruments
        self._audiences: dict[str, _Audience] = {}
        self._changing = asyncio.Lock()

    async def join(self, account_id: str, viewer: Viewer) -> None:
        """Let a viewer see an account's frames from now on.

        Raises:
            MessagingUnavailableError: NATS was never reached.
        """
        async with self._changing:
            audience = self._audiences.get(account_id)
            if audience is None:
                audience = _Audience()
                audience.subscription = await self._subscribe(account_id, audience)
                self._audiences[account_id] = audience
            audience.viewers.add(viewer)

    async def leave(self, account_id: str, viewer: Viewer) -> None:
        """Show a viewer no more; with an account's last one, hear no more of the account."""
        async with self._changing:
            audience = self._audiences.get(account_id)
            if audience is None:
                return
            audience.viewers.discard(viewer)
            if not audience.viewers and audience.subscription is not None:
                del self._audiences[account_id]
                with contextlib.suppress(NatsError, OSError):
                    await audience.subscription.unsubscribe()

    async def _subscribe(self, account_id: str, audience: _Audience) -> Subscription:
        async def show(message: Msg) -> None:
            _, agent_id, kind = message.subject.rsplit(".", 2)
            try:
                told = text_message(message.data)
            except UnicodeDecodeError:
                structlog.get_logger().warning("live_frame_unreadable", subject=message.subject)
                return
            for viewer in audience.viewers:
                viewer.show(agent_id, kind, told)
            self._instruments.deliveries.inc(len(audience.viewers))

        client = self._bus.client
        try:
            subscription = await client.subscribe(f"{subjects.LIVE}.{subjects.token(account_id)}.*.*", cb=show)
            if client.is_connected:
                await client.flush(FLUSH_S)
        except (NatsError, OSError, TimeoutError) as error:
            raise MessagingUnavailableError(retry_after_s=1) from error
        return subscription
