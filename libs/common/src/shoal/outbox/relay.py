"""The relay: publishes what stands in the outbox."""

import asyncio
import contextlib
import math
import random
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from itertools import groupby

import asyncpg
import structlog
from msgspec import Struct
from opentelemetry.trace import SpanKind

from shoal.clock import to_rfc3339
from shoal.database import Database, DatabaseUnavailableError
from shoal.leases import Lease, Leases
from shoal.messaging import EVENTS, Bus, MessagingUnavailableError, RejectedMessageError
from shoal.outbox import rows as outbox
from shoal.outbox.bell import Bell
from shoal.outbox.rows import BATCH, OutboxRow
from shoal.telemetry import Metrics, Tracing

POLL_S = 1.0
MEASURE_S = 5.0
FIRST_PAUSE_S, MAX_PAUSE_S = 0.05, 2.0
PASS_S, PUBLISH_S = 2.0, 2.0
"""How long a pass begins to publish, and one publish may take: the lease is not renewed while its row is held."""


class Relay:
    """Publishes what stands in the outbox, in order, for ever; one process at a time.

    Args:
        gather: How long a fact may wait for those that follow it: a service that records several for one request, one
            after the other, does so beside the relay's own work otherwise.
    """

    name = "relay"

    def __init__(
        self,
        *,
        service: str,
        database: Database,
        bus: Bus,
        leases: Leases,
        metrics: Metrics,
        tracing: Tracing,
        bell: Bell,
        gather: timedelta = timedelta(0),
    ) -> None:
        self._service = service
        self._database = database
        self._bus = bus
        self._leases = leases
        self._metrics = metrics
        self._tracing = tracing
        self._bell = bell
        self._gather_s = gather.total_seconds()

    async def run(self) -> None:
        """Relay wherever the lease is."""
        await self._leases.act_alone("relay", self._relay)

    def problem(self) -> str | None:
        """Nothing that the relay meets makes the service unable to answer."""
        return None

    async def _relay(self, lease: Lease) -> None:
        self._bell.is_attended = True
        try:
            while True:
                async with self._listening() as connection:
                    await self._relay_while_open(lease, connection)
        finally:
            self._bell.is_attended = False
            for gauge in (self._metrics.outbox_pending, self._metrics.outbox_age, self._metrics.outbox_blocked):
                gauge.set(0)  # whoever relays next knows

    async def _relay_while_open(self, lease: Lease, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        loop, pause, measured_at = asyncio.get_running_loop(), FIRST_PAUSE_S, -math.inf
        while not connection.is_closed():
            self._bell.forget()
            try:
                sent = await self._pass(lease)
                if loop.time() - measured_at > MEASURE_S:
                    await self._measure()
                    measured_at = loop.time()
            except (MessagingUnavailableError, DatabaseUnavailableError):
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
                pause = min(pause * 2, MAX_PAUSE_S)
                continue
            pause = FIRST_PAUSE_S
            if sent < BATCH:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._bell.wait()
                        await asyncio.sleep(self._gather_s)

    async def _pass(self, lease: Lease) -> int:
        """Publish one batch, or what time there is for; returns how many rows were there, `BATCH` if more may be."""
        async with self._database.transaction() as tx:
            rows = await outbox.pending(tx, lease)
            if not rows:
                return 0
            entities = [
                list(facts) for _, facts in groupby(sorted(rows, key=_by_entity), key=lambda row: row.entity_id)
            ]
            until = asyncio.get_running_loop().time() + PASS_S
            outcomes = await asyncio.gather(*(self._publish_in_order(facts, until) for facts in entities))
            published = [row_id for outcome in outcomes for row_id in outcome.published]
            if published:
                await outbox.mark(tx, published)
            for outcome in outcomes:
                if outcome.rejected is not None and await outbox.count_rejection(tx, outcome.rejected, outcome.reason):
                    structlog.get_logger().error("outbox_blocked", outbox_id=outcome.rejected, reason=outcome.reason)
        if any(outcome.is_unreachable for outcome in outcomes):
            raise MessagingUnavailableError
        return BATCH if any(outcome.is_cut_short for outcome in outcomes) else len(rows)

    async def _publish_in_order(self, facts: Sequence[OutboxRow], until: float) -> "_Outcome":
        published: list[int] = []
        for row in facts:
            if asyncio.get_running_loop().time() > until:
                return _Outcome(published, is_cut_short=True)
            try:
                await self._publish(row)
            except RejectedMessageError as error:
                return _Outcome(published, rejected=row.id, reason=str(error))
            except MessagingUnavailableError:
                return _Outcome(published, is_unreachable=True)
            self._metrics.published.labels(row.type).inc()
            published.append(row.id)
        return _Outcome(published)

    async def _publish(self, row: OutboxRow) -> None:
        with self._tracing.span(f"send {row.type}", kind=SpanKind.PRODUCER, parent=row.traceparent):
            headers = {
                "ce-specversion": "1.0",
                "ce-id": str(row.event_id),
                "ce-type": row.type,
                "ce-source": f"/shoal/{self._service}",
                "ce-time": to_rfc3339(row.recorded_at),
                "content-type": "application/json",
            }
            traceparent = self._tracing.traceparent() or row.traceparent
            if traceparent:
                headers["traceparent"] = traceparent
            await self._bus.publish(
                row.subject,
                row.payload,
                message_id=str(row.event_id),
                stream=EVENTS,
                headers=headers,
                timeout_s=PUBLISH_S,
            )

    async def _measure(self) -> None:
        async with self._database.reading() as database:
            measured = await outbox.measured(database)
        self._metrics.outbox_pending.set(measured.pending)
        self._metrics.outbox_age.set(measured.age_s)
        self._metrics.outbox_blocked.set(measured.blocked)

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        connection = await self._database.listen(self._bell.channel, self._bell.ring)
        connection.add_termination_listener(lambda _: self._bell.ring())
        try:
            yield connection
        finally:
            try:
                await connection.close(timeout=1)
            except (OSError, TimeoutError, DatabaseUnavailableError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection.terminate()


class _Outcome(Struct):
    published: list[int]
    rejected: int | None = None
    reason: str = ""
    is_unreachable: bool = False
    is_cut_short: bool = False


def _by_entity(row: OutboxRow) -> tuple[str, int]:
    return row.entity_id, row.id
