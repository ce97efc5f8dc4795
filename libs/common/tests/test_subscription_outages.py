"""While the database or NATS is away nothing is lost, doubled or set aside."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from nats.aio.client import Client
from structlog.testing import capture_logs

from shoal import deliveries
from shoal.database import Database, DatabaseUnavailableError, Transaction
from shoal.messaging import EVENTS, Bus
from shoal.telemetry import Metrics
from shoal_embedded.nats import EmbeddedNats
from shoal_events import PairingRenamed

from .subscribing import DURABLE, Make, notes, outcomes, pending, publish, until_acknowledged, until_notes
from .toy import at_work, keep, until


class Flaky(Database):
    """A database that can be away."""

    is_away = False
    asked = 0

    def transaction(self, **settings: Any) -> Any:
        self.asked += 1
        if self.is_away:
            raise DatabaseUnavailableError
        return super().transaction(**settings)

    async def ping(self) -> None:
        if self.is_away:
            raise DatabaseUnavailableError
        await super().ping()


@pytest_asyncio.fixture
async def flaky(working_url: str) -> AsyncIterator[Flaky]:
    made = Flaky(working_url, schema="toy")
    yield made
    await made.close()


@pytest.mark.fault
async def test_outage_of_the_database_counts_as_no_failure_and_loses_nothing(
    flaky: Flaky, bus: Bus, make_subscriber: Make, metrics: Metrics, admin: Client
) -> None:
    tries = 0

    async def stumble_once(tx: Transaction, fact: PairingRenamed) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise KeyError
        await keep(tx, fact)

    subscriber = make_subscriber({PairingRenamed: stumble_once}, database=flaky)
    flaky.is_away = True
    async with at_work(subscriber.run()):
        for number in range(20):
            await publish(bus, "x", pairing_id=f"pair_{number}")
        await until(lambda: flaky.asked > deliveries.MAX_FAILURES + 2, within_s=8)
        assert flaky.asked < 100  # one try for each batch, not one for each message
        flaky.is_away = False
        await until_notes(flaky, **{f"pair_{number}": "x" for number in range(20)})
        await until_acknowledged(admin)
    assert outcomes(metrics)["done"] == 20
    assert "dead" not in outcomes(metrics)


async def test_message_whose_own_statement_takes_too_long_stops_nobody(
    database: Database, bus: Bus, make_subscriber: Make
) -> None:
    async def slow(tx: Transaction, fact: PairingRenamed) -> None:
        if fact.name == "slow":
            raise DatabaseUnavailableError  # as a statement that ran out of time does
        await keep(tx, fact)

    async with at_work(make_subscriber({PairingRenamed: slow}).run()):
        await publish(bus, "slow")
        await publish(bus, "quick")
        await until_notes(database, pair_1="quick")


@pytest.mark.fault
async def test_nats_restarted_while_pulling_loses_and_doubles_nothing(
    database: Database, bus: Bus, make_subscriber: Make, nats_at_hand: EmbeddedNats, admin: Client
) -> None:
    async with at_work(make_subscriber().run()):
        await publish(bus, "a")
        await until_notes(database, pair_1="a")
        await nats_at_hand.stop()
        await until(lambda: not bus.is_connected)
        await nats_at_hand.start()
        await until(lambda: bus.is_connected)
        await publish(bus, "b")
        started = time.monotonic()
        await until_notes(database, pair_1="a b")
        assert time.monotonic() - started < 5
        await until_acknowledged(admin)


@pytest.mark.fault
async def test_consumer_deleted_on_the_server_is_made_again(
    database: Database, bus: Bus, make_subscriber: Make, admin: Client
) -> None:
    async with at_work(make_subscriber().run()):
        await publish(bus, "a")
        await until_notes(database, pair_1="a")
        await until_acknowledged(admin)
        await admin.jetstream().delete_consumer(EVENTS, DURABLE)
        await publish(bus, "b")
        await until_notes(database, pair_1="a b")  # the new one delivers everything; the inbox knows what is done


async def test_subscriber_says_what_keeps_it_from_subscribing(make_subscriber: Make, bus: Bus, admin: Client) -> None:
    subscriber = make_subscriber()
    await admin.jetstream().delete_stream(EVENTS)
    async with at_work(subscriber.run()):
        await until(lambda: subscriber.problem() == "not subscribed to NATS yet: stream not found")


async def test_stream_that_is_missing_at_the_start_is_warned_of_only_if_it_stays_away(
    make_subscriber: Make, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "PATIENCE_S", 0.8)
    subscriber = make_subscriber()
    await admin.jetstream().delete_stream(EVENTS)
    with capture_logs() as lines:
        started = time.monotonic()
        async with at_work(subscriber.run()):
            await until(lambda: subscriber.problem() == "not subscribed to NATS yet: stream not found")
            assert lines == []
            await until(lambda: lines)
    assert time.monotonic() - started > 0.8
    assert [(line["event"], line["log_level"]) for line in lines] == [("not_subscribed", "warning")]


async def test_subscriber_says_that_nats_is_not_there(database: Database) -> None:
    waiting = deliveries.Deliveries(
        service="toy", stream=EVENTS, consumer=DURABLE, database=database, bus=Bus("nats://127.0.0.1:1", name="toy")
    )

    async def never(_: object) -> None: ...

    async with at_work(waiting.run(never, at_once=1)):
        await until(lambda: waiting.problem() == "not subscribed to NATS yet: not connected")


async def test_cancelled_subscriber_leaves_its_messages_to_the_next(
    database: Database, bus: Bus, make_subscriber: Make, admin: Client
) -> None:
    started = asyncio.Event()

    async def hang(tx: Transaction, fact: PairingRenamed) -> None:
        await keep(tx, fact)
        started.set()
        await asyncio.sleep(60)

    async with at_work(make_subscriber({PairingRenamed: hang}).run()):
        await publish(bus, "a")
        await asyncio.wait_for(started.wait(), 5)
    assert await notes(database) == {}
    assert await pending(admin) == 1
