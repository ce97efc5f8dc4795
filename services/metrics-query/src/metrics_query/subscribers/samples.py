"""The samples of agents, batch by batch."""

import contextlib
import time
from collections.abc import Iterator, Sequence

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from opentelemetry.trace import SpanKind
from prometheus_client import CollectorRegistry, Counter, Gauge

from metrics_query.usecases.samples import Samples
from shoal.database import Database
from shoal.deliveries import Deliveries, Fate
from shoal.messaging import TELEMETRY, Bus
from shoal.telemetry import Tracing
from shoal_events import InvalidMessageError, TelemetryBatch

CONSUMER = "metrics_query-samples"
ACK_WAIT_S = 5
"""After which a batch whose counting process died goes to another: so stale may a figure be after a crash."""
PART_BYTES = 2 * 1024 * 1024

Received = tuple[Msg, TelemetryBatch]


class SampleSubscriber:
    """Counts the batches of the stream TELEMETRY, many in one transaction.

    Parts of `PART_BYTES` or a little more are counted together: the more that waits, the less each sample costs.
    A batch is acknowledged after the commit. One that comes again, because that did not arrive or the process died
    first, changes nothing, so the acknowledgement itself needs no answer. When a transaction of many fails while the
    database answers, each batch gets its own, and one that still fails shares the fate of messages that do
    (`shoal.deliveries`).
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
        self._tracing = tracing
        self._at_once = at_once
        self._deliveries = Deliveries(
            service="metrics-query",
            stream=TELEMETRY,
            consumer=CONSUMER,
            ack_wait_s=ACK_WAIT_S,
            database=database,
            bus=bus,
        )
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
        return self._deliveries.problem()

    async def run(self) -> None:
        """Count samples for ever."""
        await self._deliveries.run(self._take, at_once=self._at_once)

    async def _take(self, messages: Sequence[Msg]) -> None:
        self._waiting.set(messages[-1].metadata.num_pending)
        self._lag.set(max(0.0, time.time() - messages[0].metadata.timestamp.timestamp()))
        received: list[Received] = []
        for message in messages:
            try:
                received.append((message, TelemetryBatch.from_json(message.data)))
            except (InvalidMessageError, RecursionError) as error:
                await self._conclude([message], await self._deliveries.bury(message, repr(error)))
        for part in _parts(received):
            try:
                await self._count(part)
            except Exception as error:  # noqa: BLE001 - one batch may be at fault, so each gets its own try
                if await self._deliveries.is_outage(error):
                    await self._conclude([message for message, _ in part], Fate.STRANDED)
                else:
                    await self._count_one_by_one(part)

    async def _count(self, received: Sequence[Received]) -> None:
        with self._tracing.span("process telemetry.batch", kind=SpanKind.CONSUMER):
            outcome = await self._samples.count(batch for _, batch in received)
        for message, _ in received:
            self._deliveries.handled(message)
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
                if await self._deliveries.is_outage(error):
                    await self._conclude([message for message, _ in received[position:]], Fate.STRANDED)
                    return
                await self._conclude([message], await self._deliveries.failed(message, error))

    async def _conclude(self, messages: Sequence[Msg], fate: Fate) -> None:
        """Note what became of messages that were not counted; hand them back if nothing did."""
        self._batches.labels(Fate.RETRIED if fate is Fate.STRANDED else fate).inc(len(messages))
        if fate is Fate.STRANDED:
            await self._deliveries.hand_back(messages)


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
