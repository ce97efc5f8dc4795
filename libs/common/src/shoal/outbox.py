"""Outbox: a fact is published if and only if the change that made it true was committed.

The table's protocol: a use case appends rows in its own transaction, after locking the entity they speak of, so the
order of ids is the order of an entity's facts. The relay, alone by lease, reads unpublished rows in that order,
publishes each with `Nats-Msg-Id` = `event_id`, and marks those that the stream acknowledged. A crash anywhere
publishes again under the same id: the stream drops repeats for two minutes, the inbox for ever. A fact that NATS
refuses for good is kept, counted and holds back later facts of its own entity only. Published rows stay a day as a
replay log.
"""

import asyncio
import contextlib
import math
import random
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID, uuid4

import asyncpg
import structlog
from msgspec import Struct
from opentelemetry.trace import SpanKind

from shoal.clock import to_rfc3339
from shoal.database import Database, DatabaseUnavailableError, Transaction
from shoal.leases import HELD, Lease, Leases
from shoal.messaging import EVENTS, Bus, MessagingUnavailableError, RejectedMessageError
from shoal.telemetry import Metrics, Tracing
from shoal_events import Event

BATCH = 256
MOST_ATTEMPTS = 5
POLL_S = 1.0
MEASURE_S = 5.0
FIRST_PAUSE_S, MOST_PAUSE_S = 0.05, 2.0
PUBLISH_S = 2.0
"""How long one publish may take: the lease is not renewed while its row is held."""
PIECE = 5000
"""How many rows one statement deletes, so that no backlog is too large to be deleted in time."""


class OutboxRow(Struct, frozen=True):
    """A fact on its way."""

    id: int
    event_id: UUID
    subject: str
    type: str
    entity_id: str
    payload: bytes
    traceparent: str | None
    recorded_at: datetime


class Outbox:
    """Where use cases leave facts."""

    def __init__(self, *, channel: str, tracing: Tracing) -> None:
        self._channel = channel
        self._tracing = tracing

    async def append(self, tx: Transaction, event: Event) -> None:
        """Record a fact in the transaction that makes it true; the relay hears of it when that commits."""
        await tx.value(
            """
            with appended as (
                insert into outbox (event_id, subject, type, entity_id, payload, traceparent)
                values ($1, $2, $3, $4, $5, $6)
            )
            select pg_notify($7, '')
            """,
            uuid4(),
            event.subject,
            event.event_type,
            event.entity_id,
            event.to_json(),
            self._tracing.traceparent(),
            self._channel,
        )


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
        channel: str,
        gather: timedelta = timedelta(0),
    ) -> None:
        self._service = service
        self._database = database
        self._bus = bus
        self._leases = leases
        self._metrics = metrics
        self._tracing = tracing
        self._channel = channel
        self._gather_s = gather.total_seconds()
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Relay wherever the lease is."""
        await self._leases.act_alone("relay", self._relay)

    def problem(self) -> str | None:
        """Nothing that the relay meets makes the service unable to answer."""
        return None

    async def _relay(self, lease: Lease) -> None:
        try:
            while True:
                async with self._listening() as connection:
                    await self._relay_while_open(lease, connection)
        finally:
            for gauge in (self._metrics.outbox_pending, self._metrics.outbox_age, self._metrics.outbox_blocked):
                gauge.set(0)  # whoever relays next knows

    async def _relay_while_open(self, lease: Lease, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        loop, pause, measured_at = asyncio.get_running_loop(), FIRST_PAUSE_S, -math.inf
        while not connection.is_closed():
            self._woken.clear()
            try:
                sent = await self._pass(lease)
                if loop.time() - measured_at > MEASURE_S:
                    await self._measure()
                    measured_at = loop.time()
            except (MessagingUnavailableError, DatabaseUnavailableError):
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
                pause = min(pause * 2, MOST_PAUSE_S)
                continue
            pause = FIRST_PAUSE_S
            if sent < BATCH:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._woken.wait()
                        await asyncio.sleep(self._gather_s)

    async def _pass(self, lease: Lease) -> int:
        """Publish one batch; returns how many rows were taken."""
        async with self._database.transaction() as tx:
            rows = await _pending(tx, lease)
            if not rows:
                return 0
            entities = [
                list(facts) for _, facts in groupby(sorted(rows, key=_by_entity), key=lambda row: row.entity_id)
            ]
            outcomes = await asyncio.gather(*(self._publish_in_order(facts) for facts in entities))
            published = [row_id for outcome in outcomes for row_id in outcome.published]
            if published:
                await _mark(tx, published)
            for outcome in outcomes:
                if outcome.rejected is not None:
                    await self._count_rejection(tx, outcome.rejected, outcome.reason)
        if any(outcome.is_unreachable for outcome in outcomes):
            raise MessagingUnavailableError
        return len(rows)

    async def _publish_in_order(self, facts: Sequence[OutboxRow]) -> "_Outcome":
        published: list[int] = []
        for row in facts:
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

    async def _count_rejection(self, tx: Transaction, row_id: int, reason: str) -> None:
        blocked = await tx.value(
            """
            update outbox
               set attempts = attempts + 1, rejection = $2, rejected_at = case when attempts + 1 >= $3 then now() end
             where id = $1
            returning rejected_at is not null
            """,
            row_id,
            reason,
            MOST_ATTEMPTS,
        )
        if blocked:
            structlog.get_logger().error("outbox_blocked", outbox_id=row_id, reason=reason)

    async def _measure(self) -> None:
        async with self._database.reading() as database:
            measured = await database.find(_Backlog, _BACKLOG)
        assert measured is not None  # noqa: S101 - an aggregate always has a row
        self._metrics.outbox_pending.set(measured.pending)
        self._metrics.outbox_age.set(measured.age_s)
        self._metrics.outbox_blocked.set(measured.blocked)

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        connection = await self._database.listen(self._channel, self._woken.set)
        connection.add_termination_listener(lambda _: self._woken.set())
        try:
            yield connection
        finally:
            try:
                await connection.close(timeout=1)
            except (OSError, TimeoutError, DatabaseUnavailableError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection.terminate()


class _Backlog(Struct):
    pending: int
    age_s: float
    blocked: int


_WAITING = "outbox where published_at is null and rejected_at is null"
_BACKLOG = f"""
    select (select count(*) from {_WAITING}) as pending,
           coalesce((select extract(epoch from now() - recorded_at)::float8
                       from {_WAITING}
                      order by id
                      limit 1), 0) as age_s,
           (select count(*) from outbox where published_at is null and rejected_at is not null) as blocked
"""  # noqa: S608 - our own words, each with the condition of its index


class _Outcome(Struct):
    published: list[int]
    rejected: int | None = None
    reason: str = ""
    is_unreachable: bool = False


async def forget_published(tx: Transaction) -> int:
    """Delete some of the rows published more than a day ago; returns how many: fewer than `PIECE` are all."""
    return await tx.execute(
        """
        delete from outbox
         where id in (select id from outbox where published_at < now() - interval '1 day' limit $1)
        """,
        PIECE,
    )


async def _pending(tx: Transaction, lease: Lease) -> list[OutboxRow]:
    """Take what waits, and keep the lease standing until the commit; nothing once it is another's."""
    return await tx.all(
        OutboxRow,
        f"""
        select id, event_id, subject, type, entity_id, payload, traceparent, recorded_at
          from outbox as waiting
         where {HELD}
           and published_at is null
           and rejected_at is null
           and not exists (select from outbox as earlier
                            where earlier.entity_id = waiting.entity_id
                              and earlier.rejected_at is not null
                              and earlier.published_at is null)
         order by id
         limit $3
           for update skip locked
        """,  # noqa: S608 - our own words
        lease.key,
        lease.epoch,
        BATCH,
    )


async def _mark(tx: Transaction, published: Sequence[int]) -> None:
    """Note what the stream has without waiting for the disk: a mark that is lost publishes again, under the same id."""
    await tx.execute(
        """
        with unhurried as materialized (
            select set_config('synchronous_commit', 'off', true)
        )
        update outbox
           set published_at = now()
         where id = any($1::bigint[])
           and exists (select from unhurried)
        """,
        published,
    )


def _by_entity(row: OutboxRow) -> tuple[str, int]:
    return row.entity_id, row.id
