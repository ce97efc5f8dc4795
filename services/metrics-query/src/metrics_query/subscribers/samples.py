"""The samples of agents, batch by batch."""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from opentelemetry.trace import SpanKind
from prometheus_client import CollectorRegistry, Counter, Gauge

from metrics_query.usecases.samples import Samples
from shoal.database import Database, DatabaseUnavailableError
from shoal.messaging import DEAD, TELEMETRY, Bus, MessagingUnavailableError, RejectedMessageError
from shoal.subscriptions import BACK_OFF_S, MOST_FAILURES, OUTAGE_S
from shoal.telemetry import Tracing
from shoal_events import InvalidMessageError, TelemetryBatch

CONSUMER = "metrics_query-samples"
ACK_WAIT_S = 5
"""After which a batch whose counting process died goes to another: so stale may a figure be after a crash."""
MOST_REMEMBERED = 10_000

PART_BYTES = 2 * 1024 * 1024

Received = tuple[Msg, TelemetryBatch]


class SampleSubscriber:
    """Counts the batches of the stream TELEMETRY, many in one transaction.

    Parts of `PART_BYTES` or a little more are counted together: the more that waits, the less each sample costs.
    A batch is acknowledged after the commit. One that comes again, because that did not arrive or the process died
    first, changes nothing, so the acknowledgement itself needs no answer. When a transaction of many fails while the
    database answers, each batch gets its own; one that still fails is tried again with back-off, and after
    `MOST_FAILURES` kept on the stream DEAD. While the database is away nothing counts as a failure.
    """

    name = "subscriber samples"

    def __init__(
        self,
        samples: Samples,
        *,
        database: Database,
        bus: Bus,
        tracing: Tracing,
        registry: CollectorRegistry,
        at_once: int,
    ) -> None:
        self._samples = samples
        self._database = database
        self._bus = bus
        self._tracing = tracing
        self._at_once = at_once
        self._failures: dict[int, int] = {}
        self._problem: str | None = "not subscribed yet"
        self._counted = Counter(
            "shoal_samples",
            "Samples received, by outcome: counted, seen, out_of_range",
            ("outcome",),
            registry=registry,
        )
        self._batches = Counter(
            "shoal_sample_batches",
            "Batches received, by outcome: done, retried, dead",
            ("outcome",),
            registry=registry,
        )
        self._waiting = Gauge(
            "shoal_sample_batches_waiting", "Batches on the stream behind those taken last", registry=registry
        )
        self._lag = Gauge(
            "shoal_samples_lag_seconds", "How long the oldest of the batches taken last had waited", registry=registry
        )

    def problem(self) -> str | None:
        """Say that samples do not arrive, or None when they do."""
        return self._problem

    async def run(self) -> None:
        """Count samples for ever."""
        while True:
            try:
                pull = await self._bus.pull(TELEMETRY, CONSUMER, ack_wait_s=ACK_WAIT_S)
                self._problem = None
                try:
                    while True:
                        await self._take(await pull.next(self._at_once))
                finally:
                    self._problem = "not subscribed"
                    await pull.close()
            except MessagingUnavailableError as error:
                self._problem = f"not subscribed: {error.__cause__ or error}"
                await asyncio.sleep(0.3)

    async def _take(self, messages: Sequence[Msg]) -> None:
        self._waiting.set(messages[-1].metadata.num_pending)
        self._lag.set(max(0.0, time.time() - messages[0].metadata.timestamp.timestamp()))
        received: list[Received] = []
        for message in messages:
            try:
                received.append((message, TelemetryBatch.from_json(message.data)))
            except (InvalidMessageError, RecursionError) as error:
                await self._bury(message, repr(error))
        for part in _parts(received):
            try:
                await self._count(part)
            except Exception as error:  # noqa: BLE001 - one batch may be at fault, so each gets its own try
                if await self._is_outage(error):
                    await self._hand_back(part)
                else:
                    await self._count_one_by_one(part)

    async def _count(self, received: Sequence[Received]) -> None:
        with self._tracing.span("process telemetry.batch", kind=SpanKind.CONSUMER):
            outcome = await self._samples.count(batch for _, batch in received)
        for message, _ in received:
            self._failures.pop(message.metadata.sequence.stream, None)
            with contextlib.suppress(NatsError, OSError):
                await message.ack()
        self._batches.labels("done").inc(len(received))
        self._counted.labels("counted").inc(outcome.counted)
        self._counted.labels("seen").inc(outcome.seen)
        self._counted.labels("out_of_range").inc(outcome.out_of_range)

    async def _count_one_by_one(self, received: Sequence[Received]) -> None:
        for position, (message, batch) in enumerate(received):
            try:
                await self._count([(message, batch)])
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again, then buried
                if await self._is_outage(error):
                    await self._hand_back(received[position:])
                    return
                await self._retry(message, batch, error)

    async def _is_outage(self, error: Exception) -> bool:
        """Tell an outage, which all batches share, from a batch whose own statements fail or take too long."""
        if isinstance(error, DatabaseUnavailableError):
            try:
                await self._database.ping()
            except DatabaseUnavailableError:
                return True
        return False

    async def _hand_back(self, received: Sequence[Received]) -> None:
        for message, _ in received:
            with contextlib.suppress(NatsError, OSError):
                await message.nak(delay=OUTAGE_S)
        self._batches.labels("retried").inc(len(received))
        await asyncio.sleep(OUTAGE_S)

    async def _retry(self, message: Msg, batch: TelemetryBatch, error: Exception) -> None:
        sequence = message.metadata.sequence.stream
        if len(self._failures) >= MOST_REMEMBERED:
            self._failures.clear()
        tried = self._failures[sequence] = self._failures.get(sequence, 0) + 1
        log = structlog.get_logger()
        log.error("batch_failed", batch=batch.batch_id, tried=tried, error=repr(error), exc_info=error)
        if tried >= MOST_FAILURES:
            await self._bury(message, repr(error))
            return
        with contextlib.suppress(NatsError, OSError):
            await message.nak(delay=BACK_OFF_S[min(tried, len(BACK_OFF_S)) - 1])
        self._batches.labels("retried").inc()

    async def _bury(self, message: Msg, reason: str) -> None:
        """Keep a batch that cannot be counted where an operator finds it, then let it go."""
        sequence, told = message.metadata.sequence.stream, reason.encode("ascii", "replace").decode()[:200]
        try:
            await self._bus.publish(
                f"shoal.dead.metrics-query.{CONSUMER}",
                message.data,
                message_id=f"{CONSUMER}:{sequence}",
                stream=DEAD,
                headers={"shoal-subject": message.subject, "shoal-reason": told},
            )
        except MessagingUnavailableError:
            return  # it will be delivered again
        except RejectedMessageError as error:
            told = f"{told}; dead letter refused: {error}"
        self._failures.pop(sequence, None)
        with contextlib.suppress(NatsError, OSError):
            await message.term()
        self._batches.labels("dead").inc()
        structlog.get_logger().error("batch_dead", subject=message.subject, reason=told)


def _parts(received: Sequence[Received]) -> Iterator[list[Received]]:
    part: list[Received] = []
    size = 0
    for each in received:
        part.append(each)
        size += len(each[0].data)
        if size >= PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
