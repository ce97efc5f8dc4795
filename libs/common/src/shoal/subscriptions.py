"""Subscriptions: facts of other services, handled once each, in order, with their effects in one transaction.

A message is acknowledged only after the commit of its effects and its inbox row. A handler that raises is tried again
with back-off; after `MOST_DELIVERIES` the message is kept on the stream DEAD and let go. What cannot be decoded goes
there at once.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog
from msgspec import Struct
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from opentelemetry.trace import SpanKind

from shoal import inbox
from shoal.database import Database, DatabaseUnavailableError, Transaction
from shoal.messaging import DEAD, EVENTS, Bus, MessagingUnavailableError, RejectedMessageError, acknowledge
from shoal.telemetry import Metrics, Tracing
from shoal_events import Event

MOST_DELIVERIES = 8
BACK_OFF_S = (0.2, 1, 5, 15, 30, 60, 120)
BATCH = 100

Handler = Callable[[Transaction, Any], Awaitable[None]]
Handlers = Mapping[type[Event], Handler]
"""From a kind of fact to what is done with it."""


class Subscription(Struct, frozen=True):
    """What a service wants to hear of, and what it then does.

    Args:
        purpose: Names the durable consumer together with the service.
        handlers: From event Struct to what is done with it, inside the transaction that claims it.
    """

    purpose: str
    handlers: Handlers


class Subscriber:
    """Runs one subscription."""

    def __init__(
        self,
        subscription: Subscription,
        *,
        service: str,
        database: Database,
        bus: Bus,
        metrics: Metrics,
        tracing: Tracing,
    ) -> None:
        self.name = f"subscriber {subscription.purpose}"
        self._service = service
        self._consumer = f"{service.replace('-', '_')}-{subscription.purpose}"
        self._handlers = {event.event_type: (event, handler) for event, handler in subscription.handlers.items()}
        self._database = database
        self._bus = bus
        self._metrics = metrics
        self._tracing = tracing
        self._is_pulling = False

    def problem(self) -> str | None:
        """Say that facts do not arrive, or None when they do."""
        return None if self._is_pulling else "not subscribed yet"

    async def run(self) -> None:
        """Handle facts for ever."""
        while True:
            try:
                pull = await self._bus.pull(EVENTS, self._consumer, subjects=self._subjects())
            except MessagingUnavailableError:
                await asyncio.sleep(0.3)
                continue
            self._is_pulling = True
            try:
                while True:
                    await self._handle_all(await pull.next(BATCH))
            finally:
                self._is_pulling = False
                await pull.close()

    def _subjects(self) -> list[str]:
        return [f"shoal.events.{event_type}.*" for event_type in self._handlers]

    async def _handle_all(self, messages: Sequence[Msg]) -> None:
        for message in messages:
            try:
                outcome = await self._handle(message)
            except (DatabaseUnavailableError, MessagingUnavailableError):
                outcome = "retried"
                with contextlib.suppress(NatsError):
                    await message.nak(delay=1)
            self._metrics.handled.labels(self._consumer, outcome).inc()

    async def _handle(self, message: Msg) -> str:
        headers = message.headers or {}
        try:
            event_type, event_id = headers["ce-type"], UUID(headers["ce-id"])
            event_class, handler = self._handlers[event_type]
            event = event_class.from_json(message.data)
        except (KeyError, ValueError, RecursionError) as error:
            return await self._bury(message, repr(error))
        name = f"process {event_type}"
        with self._tracing.span(name, kind=SpanKind.CONSUMER, parent=headers.get("traceparent")):
            try:
                is_new = await self._effect(event, event_id, handler)
            except (DatabaseUnavailableError, MessagingUnavailableError):
                raise
            except Exception as error:  # noqa: BLE001 - whatever a handler raises is tried again, then buried
                return await self._retry(message, event_type, error)
        await acknowledge(message)
        structlog.get_logger().info("event_handled", type=event_type, event_id=str(event_id), is_new=is_new)
        return "done" if is_new else "duplicate"

    async def _effect(self, event: Any, event_id: UUID, handler: Handler) -> bool:
        async with self._database.transaction() as tx:
            if not await inbox.once(tx, self._consumer, event_id):
                return False
            await handler(tx, event)
            return True

    async def _retry(self, message: Msg, event_type: str, error: Exception) -> str:
        tried = message.metadata.num_delivered
        log = structlog.get_logger()
        log.error("event_failed", type=event_type, tried=tried, error=repr(error), exc_info=error)
        if tried >= MOST_DELIVERIES:
            return await self._bury(message, repr(error))
        with contextlib.suppress(NatsError):
            await message.nak(delay=BACK_OFF_S[min(tried, len(BACK_OFF_S)) - 1])
        return "retried"

    async def _bury(self, message: Msg, reason: str) -> str:
        """Keep what cannot be handled where an operator finds it, then let it go."""
        sequence = message.metadata.sequence.stream
        try:
            await self._bus.publish(
                f"shoal.dead.{self._service}.{self._consumer}",
                message.data,
                message_id=f"{self._consumer}:{sequence}",
                stream=DEAD,
                headers={
                    **(message.headers or {}),
                    "shoal-subject": message.subject,
                    "shoal-reason": _ascii(reason),
                },
            )
        except RejectedMessageError as error:
            structlog.get_logger().error("dead_letter_refused", subject=message.subject, error=str(error))
        with contextlib.suppress(NatsError):
            await message.term()
        structlog.get_logger().error("event_dead", subject=message.subject, reason=reason)
        return "dead"


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()[:200].replace("\r", " ").replace("\n", " ")
