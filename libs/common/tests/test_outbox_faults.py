"""Facts are neither lost nor doubled, whatever happens on the way."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from nats.aio.client import Client

from shoal.database import Database, DatabaseUnavailableError
from shoal.messaging import Bus, MessagingUnavailableError, RejectedMessageError
from shoal.outbox import Outbox, Relay, relay as relays
from shoal.outbox.rows import MAX_ATTEMPTS
from shoal.telemetry import Metrics
from shoal_embedded.nats import EmbeddedNats

from .relaying import append, names, pending_are, until_published, until_sent
from .toy import at_work, until


@pytest.mark.fault
async def test_nats_down_and_up_again_loses_and_doubles_nothing(
    database: Database, outbox: Outbox, relay: Relay, admin: Client, bus: Bus, nats_at_hand: EmbeddedNats
) -> None:
    written = 0
    for round_ in range(2):
        for _ in range(20):
            await append(database, outbox, str(written))
            written += 1
        if round_ == 0:
            await nats_at_hand.stop()
            await append(database, outbox, str(written))
            written += 1
            await until(lambda: not bus.is_connected)
            await nats_at_hand.start()
    back = time.monotonic()
    await until_published(admin, written)
    await until_sent(database)
    assert time.monotonic() - back < 5
    assert await names(admin) == [str(number) for number in range(written)]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pauses after an outage."""
    monkeypatch.setattr(relays, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(relays, "MAX_PAUSE_S", 0.02)


class LossyBus:
    """Stores what is published but breaks off before the answer now and then: a crash in the worst moment."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.calls = 0
        self.crash: Callable[[int], bool] = lambda _: False

    async def publish(self, *arguments: Any, **rest: Any) -> Any:
        self.calls = call = self.calls + 1
        answer = await self._bus.publish(*arguments, **rest)
        if self.crash(call):
            raise MessagingUnavailableError
        return answer


@pytest.mark.fault
@pytest.mark.usefixtures("impatient")
async def test_answers_lost_on_the_way_double_nothing(
    database: Database, outbox: Outbox, make_relay: Callable[..., Relay], bus: Bus, admin: Client
) -> None:
    lossy = LossyBus(bus)
    lossy.crash = lambda call: call % 4 == 0
    async with at_work(make_relay(bus=lossy).run()):
        await append(database, outbox, *(str(number) for number in range(10)))
        await append(database, outbox, *(str(number) for number in range(10)), pairing_id="pair_2")
        await until_sent(database)
    assert lossy.calls > 20
    for pairing_id in ("pair_1", "pair_2"):
        assert await names(admin, pairing_id) == [str(number) for number in range(10)]


@pytest.mark.fault
async def test_relay_killed_in_the_middle_of_a_batch_doubles_and_loses_nothing(
    database: Database, outbox: Outbox, make_relay: Callable[..., Relay], bus: Bus, admin: Client
) -> None:
    for kill_at in (1, 7, 30):
        for number in range(40):
            await append(database, outbox, f"{kill_at}.{number}", pairing_id=f"pair_{number}")
        lossy = LossyBus(bus)
        reached = asyncio.Event()

        def crash(call: int, kill_at: int = kill_at, reached: asyncio.Event = reached) -> bool:
            if call == kill_at:
                reached.set()
            return False

        lossy.crash = crash
        task = asyncio.create_task(make_relay(bus=lossy).run())
        await asyncio.wait_for(reached.wait(), 5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with at_work(make_relay().run()):
        await until_sent(database)
    everything = Counter(f"{kill_at}.{number}" for kill_at in (1, 7, 30) for number in range(40))
    assert Counter(await names(admin)) == everything


@pytest.mark.fault
async def test_lost_listening_connection_is_opened_again(
    database: Database, outbox: Outbox, relay: Relay, admin: Client, admin_url: str
) -> None:
    await append(database, outbox, "before")
    await until_sent(database)
    superuser = await asyncpg.connect(admin_url)
    listening = "select pid from pg_stat_activity where usename = 'toy' and query ilike 'listen%'"
    (before,) = await superuser.fetch(listening)
    await superuser.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'toy' and pid <> pg_backend_pid()"
    )
    await append_through(database, outbox, "after")
    await until_sent(database)

    async def listens_again() -> bool:
        rows = await superuser.fetch(listening)
        return [row for row in rows if row != before] != []

    await until(listens_again)
    await superuser.close()
    assert await names(admin) == ["before", "after"]


async def append_through(database: Database, outbox: Outbox, name: str) -> None:
    """Append, trying again over connections that have just been cut."""

    async def done() -> bool:
        try:
            await append(database, outbox, name)
        except DatabaseUnavailableError:
            return False
        return True

    await until(done)


class RefusingBus:
    """Refuses some subjects for good."""

    def __init__(self, bus: Bus, refused: str) -> None:
        self._bus = bus
        self.refused: str | None = refused
        self.tries = 0

    async def publish(self, subject: str, *arguments: Any, **rest: Any) -> Any:
        if self.refused is not None and subject.endswith(self.refused):
            self.tries += 1
            raise RejectedMessageError("never")
        return await self._bus.publish(subject, *arguments, **rest)


async def test_fact_refused_for_good_blocks_its_own_entity_only_and_only_after_its_attempts(
    database: Database,
    outbox: Outbox,
    make_relay: Callable[..., Relay],
    bus: Bus,
    admin: Client,
    metrics: Metrics,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relays, "POLL_S", 0.05)
    monkeypatch.setattr(relays, "MEASURE_S", 0.05)
    refusing = RefusingBus(bus, ".bad")
    async with at_work(make_relay(bus=refusing).run()):
        await append(database, outbox, "1", "2", pairing_id="bad")
        await append(database, outbox, "1", "2", pairing_id="good")
        await until(lambda: metrics.outbox_blocked._value.get() == 1)
        await append(database, outbox, "3", pairing_id="good")
        await append(database, outbox, "3", pairing_id="bad")
        await until_published(admin, 3)
        assert refusing.tries == MAX_ATTEMPTS
        async with database.reading() as reading:
            row = await reading.connection.fetchrow(
                "select attempts, rejection, rejected_at from outbox where rejected_at is not null"
            )
        assert row is not None
        assert (row["attempts"], row["rejection"]) == (MAX_ATTEMPTS, "never")
        await until(lambda: pending_are(database, 3))
        # an operator mends the cause and lets it go
        refusing.refused = None
        async with database.transaction() as tx:
            await tx.execute("update outbox set rejected_at = null, attempts = 0")
        await until_sent(database)
    assert await names(admin, "good") == ["1", "2", "3"]
    assert await names(admin, "bad") == ["1", "2", "3"]


@pytest.mark.usefixtures("impatient")
async def test_unreachable_counts_as_no_attempt(
    database: Database, outbox: Outbox, make_relay: Callable[..., Relay], bus: Bus, admin: Client
) -> None:
    lossy = LossyBus(bus)
    lossy.crash = lambda call: call < 8
    async with at_work(make_relay(bus=lossy).run()):
        await append(database, outbox, "1")
        await until_sent(database)
    async with database.reading() as reading:
        assert await reading.value("select max(attempts) from outbox") == 0


async def test_long_backlog_of_one_entity_gets_through_however_slow_publishing_is(
    database: Database, outbox: Outbox, make_relay: Callable[..., Relay], bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "PASS_S", 0.3)
    await append(database, outbox, *(str(number) for number in range(60)))
    async with at_work(make_relay(bus=SlowBus(bus), ttl=timedelta(seconds=1)).run()):
        await until_sent(database)


class SlowBus:
    """A bus that takes its time for each fact: all of them take longer than a lease lasts."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def publish(self, *arguments: Any, **named: Any) -> Any:
        await asyncio.sleep(0.03)
        return await self._bus.publish(*arguments, **named)
