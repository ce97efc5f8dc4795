"""From a commit to a delivered fact: how soon when idle, how many a second when not."""

import asyncio
import time
from statistics import median
from uuid import uuid4

import asyncpg
from nats.aio.client import Client
from nats.aio.msg import Msg
from stack.figures import percentile

from bench.rows import Row, Scale, bench_stack
from shoal_events import PairingRenamed

ONES, MANY, AT_ONCE = 200, 5_000, 256
IDLE_MS, BAR = 50.0, 0.6


async def run(scale: Scale) -> list[Row]:
    """Append facts as pairing does, and see them arrive."""
    many = MANY // 5 if scale.quick else MANY
    async with bench_stack() as stack, stack.nats() as bus:
        assert stack.suite.postgres is not None
        connection = await asyncpg.connect(stack.suite.postgres.url)
        arrivals: dict[str, float] = {}

        async def arrive(message: Msg) -> None:
            arrivals[message.subject.rpartition(".")[2]] = time.perf_counter()

        await bus.subscribe(f"{PairingRenamed.subject_prefix}.>", cb=arrive)
        await bus.flush()
        await append(connection, facts(50))
        await asyncio.sleep(2)
        delays = [await delay(connection, arrivals) for _ in range(ONES // (4 if scale.quick else 1))]
        bares: list[float] = []
        rates: list[float] = []
        for _ in range(scale.rounds):
            bares.append(await bare_publishing(bus, many))
            rates.append(await throughput(connection, arrivals, many))
        await connection.close()
    bare, relayed = median(bares), median(rates)
    p99 = percentile(delays, 0.99) * 1000
    return [
        Row(
            "outbox: commit to delivered, idle, p99",
            f"{p99:.1f} ms (p50 {percentile(delays, 0.5) * 1000:.1f} ms)",
            bar=f"≤ {IDLE_MS:g} ms",
            holds=p99 <= IDLE_MS,
        ),
        Row(
            f"outbox: {many:,} facts of as many entities",
            f"{relayed:,.0f} facts/s",
            f"bare durable publishing, {AT_ONCE} at once, {bare:,.0f} /s",
            relayed / bare,
            f"≥ {BAR}",
            relayed / bare >= BAR,
        ),
    ]


def facts(count: int) -> list[PairingRenamed]:
    """Make facts, each of an entity of its own."""
    return [
        PairingRenamed(pairing_id=f"pair_{uuid4().hex[:16]}", account_id="acct_bench", name="Renamed", version=2)
        for _ in range(count)
    ]


async def append(connection: asyncpg.Connection, events: list[PairingRenamed]) -> None:
    """Record facts in one transaction, exactly as pairing's outbox does."""
    rows = [(uuid4(), e.subject, e.event_type, e.entity_id, e.to_json()) for e in events]
    async with connection.transaction():
        await connection.executemany(
            "insert into pairing.outbox (event_id, subject, type, entity_id, payload) values ($1, $2, $3, $4, $5)", rows
        )
        await connection.execute("select pg_notify('pairing_outbox', '')")


async def delay(connection: asyncpg.Connection, arrivals: dict[str, float]) -> float:
    """Append one fact to a relay at rest; returns seconds from the commit to its delivery."""
    (event,) = facts(1)
    await append(connection, [event])
    committed = time.perf_counter()
    async with asyncio.timeout(10):
        while event.pairing_id not in arrivals:
            await asyncio.sleep(0.0005)
    await asyncio.sleep(0.02)
    return max(0.0, arrivals[event.pairing_id] - committed)


async def throughput(connection: asyncpg.Connection, arrivals: dict[str, float], count: int) -> float:
    """Append many facts, and wait for the last; returns facts a second, from the first delivery to the last."""
    events = facts(count)
    wanted = {event.pairing_id for event in events}
    await append(connection, events)
    async with asyncio.timeout(120):
        while not wanted <= arrivals.keys():
            await asyncio.sleep(0.01)
    moments = [arrivals[one] for one in wanted]
    return count / (max(moments) - min(moments))


async def bare_publishing(bus: Client, count: int) -> float:
    """Publish as many messages of the same size, durably, some at once; messages a second."""
    payload = facts(1)[0].to_json()
    jetstream, left = bus.jetstream(), iter(range(count))

    async def publish() -> None:
        for number in left:
            subject = f"shoal.events.bench.bare.v1.n{number}"
            await jetstream.publish(subject, payload, stream="EVENTS", headers={"Nats-Msg-Id": uuid4().hex})

    started = time.perf_counter()
    await asyncio.gather(*(publish() for _ in range(AT_ONCE)))
    return count / (time.perf_counter() - started)
