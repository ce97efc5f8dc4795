"""Subscriptions: facts of other services, handled once each, with their effects in one transaction.

A message is acknowledged only after the commit of its effects and its inbox row. A handler that raises is tried again
with back-off while later messages go ahead, so an entity's facts come in order except around a failure: handlers take a
fact only if its version is newer. After `MOST_FAILURES` the message is kept on the stream DEAD and let go. What cannot
be decoded goes there at once. While the database or NATS is away nothing counts as a failure, and nothing is tried.
"""

import asyncio
import contextlib
import re
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

MOST_FAILURES = 8
BACK_OFF_S = (0.2, 1, 5, 15, 30, 60, 120)
OUTAGE_S = 1.0
BATCH = 100
_MOST_REMEMBERED = 10_000
_NAME = re.compile(r"[A-Za-z0-9-]+")

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
        self._failures: dict[int, int] = {}
        self._problem: str | None = "not subscribed yet"

    def problem(self) -> str | None:
        """Say that facts do not arrive, or None when they do."""
        return self._problem

    async def run(self) -> None:
        """Handle facts for ever."""
        while True:
            try:
                pull = await self._bus.pull(EVENTS, self._consumer, subjects=self._subjects())
                self._problem = None
                try:
                    while True:
                        await self._handle_all(await pull.next(BATCH))
                finally:
                    self._problem = "not subscribed"
                    await pull.close()
            except MessagingUnavailableError as error:
                self._problem = f"not subscribed: {error.__cause__ or error}"
                await asyncio.sleep(0.3)

    def _subjects(self) -> list[str]:
        return [f"shoal.events.{event_type}.*" for event_type in self._handlers]

    async def _handle_all(self, messages: Sequence[Msg]) -> None:
        """Handle messages in order; hand the rest back when what handling needs is away."""
        async with asyncio.TaskGroup() as acknowledging:
            for position, message in enumerate(messages):
                outcome = await self._handle(message)
                if outcome is None:
                    await self._hand_back(messages[position:])
                    return
                if outcome in {"done", "duplicate"}:
                    acknowledging.create_task(acknowledge(message))
                self._metrics.handled.labels(self._consumer, outcome).inc()

    async def _handle(self, message: Msg) -> str | None:
        """Handle one message; returns the outcome, or None when it is not the message's fault that there is none."""
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
            except Exception as error:  # noqa: BLE001 - whatever a handler raises is tried again, then buried
                if await self._is_outage(error):
                    return None
                return await self._retry(message, event_type, error)
        self._failures.pop(message.metadata.sequence.stream, None)
        structlog.get_logger().info("event_handled", type=event_type, event_id=str(event_id), is_new=is_new)
        return "done" if is_new else "duplicate"

    async def _is_outage(self, error: Exception) -> bool:
        """Tell an outage, which all messages share, from a message whose own statements take too long or collide."""
        if isinstance(error, MessagingUnavailableError):
            return not self._bus.is_connected
        if isinstance(error, DatabaseUnavailableError):
            try:
                await self._database.ping()
            except DatabaseUnavailableError:
                return True
        return False

    async def _hand_back(self, messages: Sequence[Msg]) -> None:
        for message in messages:
            self._metrics.handled.labels(self._consumer, "retried").inc()
            with contextlib.suppress(NatsError):
                await message.nak(delay=OUTAGE_S)
        await asyncio.sleep(OUTAGE_S)

    async def _effect(self, event: Any, event_id: UUID, handler: Handler) -> bool:
        async with self._database.transaction() as tx:
            if not await inbox.once(tx, self._consumer, event_id):
                return False
            await handler(tx, event)
            return True

    async def _retry(self, message: Msg, event_type: str, error: Exception) -> str | None:
        sequence = message.metadata.sequence.stream
        if len(self._failures) >= _MOST_REMEMBERED:
            self._failures.clear()
        tried = self._failures[sequence] = self._failures.get(sequence, 0) + 1
        log = structlog.get_logger()
        log.error("event_failed", type=event_type, tried=tried, error=repr(error), exc_info=error)
        if tried >= MOST_FAILURES:
            return await self._bury(message, repr(error))
        with contextlib.suppress(NatsError):
            await message.nak(delay=BACK_OFF_S[min(tried, len(BACK_OFF_S)) - 1])
        return "retried"

    async def _bury(self, message: Msg, reason: str) -> str | None:
        """Keep what cannot be handled where an operator finds it, then let it go; None when it cannot be kept now."""
        sequence = message.metadata.sequence.stream
        headers = {name: value for name, value in (message.headers or {}).items() if not name.startswith("Nats-")}
        try:
            await self._bus.publish(
                f"shoal.dead.{self._service}.{self._consumer}",
                message.data,
                message_id=f"{self._consumer}:{sequence}",
                stream=DEAD,
                headers=_printable(headers | {"shoal-subject": message.subject, "shoal-reason": reason[:200]}),
            )
        except MessagingUnavailableError:
            if not self._bus.is_connected:
                return None
            with contextlib.suppress(NatsError):  # the stream of dead letters is full
                await message.nak(delay=BACK_OFF_S[-1])
            return "retried"
        except RejectedMessageError as error:
            structlog.get_logger().error("dead_letter_refused", subject=message.subject, error=str(error))
        self._failures.pop(sequence, None)
        with contextlib.suppress(NatsError):
            await message.term()
        structlog.get_logger().error("event_dead", subject=message.subject, reason=reason)
        return "dead"


def _printable(headers: Mapping[str, str]) -> dict[str, str]:
    """Keep what may stand in a header, whatever a stranger sent."""
    return {
        name: "".join(character if " " <= character <= "~" else "?" for character in value)
        for name, value in headers.items()
        if _NAME.fullmatch(name)
    }
