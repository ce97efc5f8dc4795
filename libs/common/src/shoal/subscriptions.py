"""Subscriptions: facts of other services, handled once each, with their effects in one transaction.

A message is acknowledged only after the commit of its effects and its inbox row. A handler that raises is tried again
(`shoal.deliveries`), so an entity's facts come in order except around a failure: handlers take a fact only if its
version is newer. What cannot be decoded goes to the stream DEAD at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog
from msgspec import Struct
from nats.aio.msg import Msg
from opentelemetry.trace import SpanKind

from shoal import inbox
from shoal.database import Database, Transaction
from shoal.deliveries import Deliveries, Fate
from shoal.messaging import EVENTS, Bus, acknowledge
from shoal.telemetry import Metrics, Tracing
from shoal_events import Event

AT_ONCE = 100

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
        self._consumer = f"{service.replace('-', '_')}-{subscription.purpose}"
        self._handlers = {event.event_type: (event, handler) for event, handler in subscription.handlers.items()}
        self._deliveries = Deliveries(
            service=service,
            stream=EVENTS,
            consumer=self._consumer,
            subjects=[f"shoal.events.{event_type}.*" for event_type in self._handlers],
            database=database,
            bus=bus,
        )
        self._database = database
        self._metrics = metrics
        self._tracing = tracing

    def problem(self) -> str | None:
        """Say that facts do not arrive, or None when they do."""
        return self._deliveries.problem()

    async def run(self) -> None:
        """Handle facts for ever."""
        await self._deliveries.run(self._handle_all, at_once=AT_ONCE)

    async def _handle_all(self, messages: Sequence[Msg]) -> None:
        """Handle messages in order; hand the rest back when what handling needs is away."""
        async with asyncio.TaskGroup() as acknowledging:
            for position, message in enumerate(messages):
                outcome = await self._handle(message)
                if outcome is Fate.STRANDED:
                    self._metrics.handled.labels(self._consumer, Fate.RETRIED).inc(len(messages) - position)
                    await self._deliveries.hand_back(messages[position:])
                    return
                if outcome in {"done", "duplicate"}:
                    acknowledging.create_task(acknowledge(message))
                self._metrics.handled.labels(self._consumer, outcome).inc()

    async def _handle(self, message: Msg) -> str:
        """Handle one message; returns the outcome: `done`, `duplicate`, or its fate."""
        headers = message.headers or {}
        try:
            event_type, event_id = headers["ce-type"], UUID(headers["ce-id"])
            event_class, handler = self._handlers[event_type]
            event = event_class.from_json(message.data)
        except (KeyError, ValueError, RecursionError) as error:
            return await self._deliveries.bury(message, repr(error))
        name = f"process {event_type}"
        with self._tracing.span(name, kind=SpanKind.CONSUMER, parent=headers.get("traceparent")):
            try:
                is_new = await self._effect(event, event_id, handler)
            except Exception as error:  # noqa: BLE001 - whatever a handler raises is tried again, then buried
                is_outage = await self._deliveries.is_outage(error)
                return Fate.STRANDED if is_outage else await self._deliveries.failed(message, error)
        self._deliveries.handled(message)
        structlog.get_logger().info("event_handled", type=event_type, event_id=str(event_id), is_new=is_new)
        return "done" if is_new else "duplicate"

    async def _effect(self, event: Any, event_id: UUID, handler: Handler) -> bool:
        async with self._database.transaction() as tx:
            if not await inbox.once(tx, self._consumer, event_id):
                return False
            await handler(tx, event)
            return True
