"""Facts of other services, and the samples of agents."""

import asyncio
import contextlib
from collections.abc import Sequence

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from opentelemetry.trace import SpanKind
from prometheus_client import CollectorRegistry, Counter

from metrics_query.usecases.agents import Agents
from metrics_query.usecases.samples import Samples
from shoal.database import DatabaseUnavailableError, Transaction
from shoal.messaging import DEAD, TELEMETRY, Bus, MessagingUnavailableError, RejectedMessageError
from shoal.subscriptions import BACK_OFF_S, MOST_DELIVERIES
from shoal.telemetry import Tracing
from shoal_events import (
    AccountDeleted,
    InvalidMessageError,
    PairingConfirmed,
    PairingDeleted,
    PairingRenamed,
    TelemetryBatch,
)

CONSUMER = "metrics_query-samples"
ACK_WAIT_S = 5
"""After which a batch whose counting process died goes to another; counting one twice at a time is harmless."""


class AgentSubscribers:
    """What metrics-query does when pairings change and accounts go."""

    def __init__(self, agents: Agents) -> None:
        self._agents = agents

    async def on_pairing_confirmed(self, tx: Transaction, event: PairingConfirmed) -> None:
        """Answer for the agent."""
        await self._agents.confirmed(tx, event)

    async def on_pairing_renamed(self, tx: Transaction, event: PairingRenamed) -> None:
        """Show the new name."""
        await self._agents.renamed(tx, event)

    async def on_pairing_deleted(self, tx: Transaction, event: PairingDeleted) -> None:
        """Answer for the agent no longer."""
        await self._agents.deleted(tx, event)

    async def on_account_deleted(self, tx: Transaction, event: AccountDeleted) -> None:
        """Answer for the account no longer."""
        await self._agents.account_deleted(tx, event)


class SampleSubscriber:
    """Counts the batches of the stream TELEMETRY, many in one transaction.

    A batch is acknowledged after the commit. One that comes again, because that did not arrive or the process died
    before it, changes nothing, so the acknowledgement itself needs no answer. When a transaction of many fails for
    another reason than an unreachable database, each batch gets its own; one that still fails is tried again with
    back-off and then kept on the stream DEAD.
    """

    name = "subscriber samples"

    def __init__(
        self, samples: Samples, *, bus: Bus, tracing: Tracing, registry: CollectorRegistry, at_once: int
    ) -> None:
        self._samples = samples
        self._bus = bus
        self._tracing = tracing
        self._at_once = at_once
        self._is_pulling = False
        self._counter = Counter(
            "shoal_samples",
            "Samples received, by outcome: counted, seen, out_of_range",
            ("outcome",),
            registry=registry,
        )
        self._batches = Counter(
            "shoal_sample_batches", "Batches received, by outcome: done, retried, dead", ("outcome",), registry=registry
        )

    def problem(self) -> str | None:
        """Say that samples do not arrive, or None when they do."""
        return None if self._is_pulling else "not subscribed yet"

    async def run(self) -> None:
        """Count samples for ever."""
        while True:
            try:
                pull = await self._bus.pull(TELEMETRY, CONSUMER, ack_wait_s=ACK_WAIT_S)
            except MessagingUnavailableError:
                await asyncio.sleep(0.3)
                continue
            self._is_pulling = True
            try:
                while True:
                    await self._take(await pull.next(self._at_once))
            finally:
                self._is_pulling = False
                await pull.close()

    async def _take(self, messages: Sequence[Msg]) -> None:
        batches: list[tuple[Msg, TelemetryBatch]] = []
        for message in messages:
            try:
                batches.append((message, TelemetryBatch.from_json(message.data)))
            except (InvalidMessageError, RecursionError) as error:
                await self._bury(message, repr(error))
        try:
            await self._count(batches)
        except (DatabaseUnavailableError, MessagingUnavailableError):
            await self._put_back(batches, delay=1)
        except Exception:  # noqa: BLE001 - one batch may be at fault, so each gets its own try
            for message, batch in batches:
                await self._count_alone(message, batch)

    async def _count_alone(self, message: Msg, batch: TelemetryBatch) -> None:
        try:
            await self._count([(message, batch)])
        except (DatabaseUnavailableError, MessagingUnavailableError):
            await self._put_back([(message, batch)], delay=1)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again, then buried
            await self._retry(message, batch, error)

    async def _retry(self, message: Msg, batch: TelemetryBatch, error: Exception) -> None:
        tried = message.metadata.num_delivered
        log = structlog.get_logger()
        log.error("batch_failed", batch=batch.batch_id, tried=tried, error=repr(error), exc_info=error)
        if tried >= MOST_DELIVERIES:
            await self._bury(message, repr(error))
        else:
            await self._put_back([(message, batch)], delay=BACK_OFF_S[min(tried, len(BACK_OFF_S)) - 1])

    async def _count(self, batches: Sequence[tuple[Msg, TelemetryBatch]]) -> None:
        with self._tracing.span("process telemetry.batch", kind=SpanKind.CONSUMER):
            outcome = await self._samples.count(batch for _, batch in batches)
        for message, _ in batches:
            with contextlib.suppress(NatsError, OSError):
                await message.ack()
        self._batches.labels("done").inc(len(batches))
        self._counter.labels("counted").inc(outcome.counted)
        self._counter.labels("seen").inc(outcome.seen)
        self._counter.labels("out_of_range").inc(outcome.out_of_range)

    async def _put_back(self, batches: Sequence[tuple[Msg, TelemetryBatch]], *, delay: float) -> None:
        for message, _ in batches:
            with contextlib.suppress(NatsError, OSError):
                await message.nak(delay=delay)
        self._batches.labels("retried").inc(len(batches))

    async def _bury(self, message: Msg, reason: str) -> None:
        """Keep a batch that cannot be counted where an operator finds it, then let it go."""
        told = reason.encode("ascii", "replace").decode()[:200]
        try:
            await self._bus.publish(
                f"shoal.dead.metrics-query.{CONSUMER}",
                message.data,
                message_id=f"{CONSUMER}:{message.metadata.sequence.stream}",
                stream=DEAD,
                headers={"shoal-subject": message.subject, "shoal-reason": told},
            )
        except MessagingUnavailableError:
            return
        except RejectedMessageError as error:
            told = f"{told}; dead letter refused: {error}"
        with contextlib.suppress(NatsError, OSError):
            await message.term()
        self._batches.labels("dead").inc()
        structlog.get_logger().error("batch_dead", subject=message.subject, reason=told)
