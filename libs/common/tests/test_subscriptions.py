"""Subscriptions: effects happen once, failures are tried again and then set aside, and nothing else waits for them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client

from shoal import deliveries, subscriptions
from shoal.database import Database, DatabaseUnavailableError, Transaction
from shoal.messaging import DEAD, EVENTS, Bus
from shoal.subscriptions import Handlers, Subscriber, Subscription
from shoal.telemetry import Metrics, Tracing
from shoal_embedded.nats import EmbeddedNats
from shoal_events import PairingRenamed, UserDeleted

from .toy import Note, at_work, keep, renamed, until

DURABLE = "toy-names"
Make = Callable[..., Subscriber]


@pytest.fixture
def make(database: Database, bus: Bus, metrics: Metrics, tracing: Tracing) -> Make:
    def make(handlers: Handlers | None = None, *, bus: Bus = bus, purpose: str = "names") -> Subscriber:
        return Subscriber(
            Subscription(purpose, handlers or {PairingRenamed: keep}),
            service="toy",
            database=database,
            bus=bus,
            metrics=metrics,
            tracing=tracing,
        )

    return make


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "BACK_OFF_S", (0.02, 0.03))
    monkeypatch.setattr(deliveries, "OUTAGE_S", 0.1)


@pytest_asyncio.fixture
async def admin(nats_at_hand: EmbeddedNats) -> AsyncIterator[Client]:
    client = await nats.connect(nats_at_hand.url, reconnect_time_wait=0.05, max_reconnect_attempts=-1)
    yield client
    await client.close()


async def publish(
    bus: Bus, name: str, *, pairing_id: str = "pair_1", event_id: str = "", message_id: str = "", **headers: str
) -> str:
    event, event_id = renamed(pairing_id, name), event_id or str(uuid4())
    told = {"ce-type": event.event_type, "ce-id": event_id} | headers
    await bus.publish(
        event.subject, event.to_json(), message_id=message_id or str(uuid4()), stream=EVENTS, headers=told
    )
    return event_id


async def notes(database: Database) -> dict[str, str]:
    async with database.reading() as reading:
        return {note.id: note.body for note in await reading.all(Note, "select * from note")}


async def until_notes(database: Database, **expected: str) -> None:
    async def equal() -> bool:
        return await notes(database) == expected

    await until(equal, within_s=8)


async def dead(admin: Client, count: int) -> list[Any]:
    jetstream = admin.jetstream()

    async def enough() -> bool:
        return int((await jetstream.stream_info(DEAD)).state.messages) >= count

    await until(enough, within_s=8)
    return [await jetstream.get_msg(DEAD, sequence) for sequence in range(1, count + 1)]


async def pending(admin: Client, durable: str = DURABLE) -> int:
    info = await admin.jetstream().consumer_info(EVENTS, durable)
    return int(info.num_pending or 0) + int(info.num_ack_pending or 0)


async def until_acknowledged(admin: Client, durable: str = DURABLE) -> None:
    async def nothing_left() -> bool:
        return await pending(admin, durable) == 0

    await until(nothing_left, within_s=8)


def outcomes(metrics: Metrics) -> dict[str, float]:
    return {labels[1]: child._value.get() for labels, child in metrics.handled._metrics.items()}


async def test_facts_are_handled_in_order_and_acknowledged(
    database: Database, bus: Bus, make: Make, admin: Client, metrics: Metrics
) -> None:
    subscriber = make()
    assert subscriber.problem() == "not subscribed yet"
    async with at_work(subscriber.run()):
        for name in "abcde":
            await publish(bus, name)
        await until_notes(database, pair_1="a b c d e")
        await until_acknowledged(admin)
        assert subscriber.problem() is None
    assert outcomes(metrics) == {"done": 5}


async def test_facts_published_before_the_first_start_are_handled(database: Database, bus: Bus, make: Make) -> None:
    await publish(bus, "early")
    async with at_work(make().run()):
        await until_notes(database, pair_1="early")


async def test_fact_delivered_twice_has_its_effects_once(
    database: Database, bus: Bus, make: Make, admin: Client, metrics: Metrics
) -> None:
    async with at_work(make().run()):
        event_id = await publish(bus, "a")
        await publish(bus, "a", event_id=event_id)  # as a relay does that was away for longer than the stream remembers
        await publish(bus, "b")
        await until_notes(database, pair_1="a b")
        await until_acknowledged(admin)
    assert outcomes(metrics) == {"done": 2, "duplicate": 1}


async def test_subscriber_that_dies_before_the_acknowledgement_does_nothing_twice(
    database: Database, bus: Bus, make: Make, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> bool:
        await asyncio.sleep(60)
        return False

    with monkeypatch.context() as patched:
        patched.setattr(subscriptions, "acknowledge", never)
        async with at_work(make().run()):
            await publish(bus, "a")
            await until_notes(database, pair_1="a")
    assert await pending(admin) == 1
    # what was not acknowledged is delivered again when its time is up: made to be now
    config = (await admin.jetstream().consumer_info(EVENTS, DURABLE)).config
    await admin.jetstream().delete_consumer(EVENTS, DURABLE)
    assert config.durable_name == DURABLE
    async with at_work(make().run()):
        await publish(bus, "b")
        await until_notes(database, pair_1="a b")
        await until_acknowledged(admin)


async def test_two_subscribers_of_a_service_share_the_work(
    database: Database, bus: Bus, make: Make, admin: Client, metrics: Metrics
) -> None:
    async with at_work(make().run(), make().run()):
        for number in range(50):
            await publish(bus, "x", pairing_id=f"pair_{number}")
        await until_notes(database, **{f"pair_{number}": "x" for number in range(50)})
        await until_acknowledged(admin)
    assert outcomes(metrics)["done"] == 50


async def test_two_purposes_each_hear_everything(database: Database, bus: Bus, make: Make) -> None:
    async with at_work(make().run(), make(purpose="other").run()):
        await publish(bus, "a")
        await until_notes(database, pair_1="a a")


async def test_other_facts_are_not_delivered(database: Database, bus: Bus, make: Make, admin: Client) -> None:
    async with at_work(make().run()):
        other = UserDeleted(user_id="user_1", account_id="acct_1", version=2)
        await bus.publish(
            other.subject,
            other.to_json(),
            message_id="m",
            stream=EVENTS,
            headers={"ce-type": other.event_type, "ce-id": str(uuid4())},
        )
        await publish(bus, "a")
        await until_notes(database, pair_1="a")
        await until_acknowledged(admin)


async def test_handler_that_fails_and_then_succeeds_leaves_its_effects_once(
    database: Database, bus: Bus, make: Make, admin: Client, metrics: Metrics
) -> None:
    tries = 0

    async def stumble(tx: Transaction, fact: PairingRenamed) -> None:
        nonlocal tries
        await keep(tx, fact)
        tries += 1
        if tries < 4:
            raise KeyError(fact.name)

    async with at_work(make({PairingRenamed: stumble}).run()):
        await publish(bus, "a")
        await until_notes(database, pair_1="a")
        await until_acknowledged(admin)
    assert outcomes(metrics) == {"retried": 3, "done": 1}


async def test_poison_is_set_aside_with_its_story_and_delays_nobody(
    database: Database, bus: Bus, make: Make, admin: Client, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "BACK_OFF_S", (0.2,))

    async def choke(tx: Transaction, fact: PairingRenamed) -> None:
        if fact.name == "poison":
            raise ValueError("cannot\r\nswallow ☠")
        await keep(tx, fact)

    async with at_work(make({PairingRenamed: choke}).run()):
        await publish(bus, "warm up", pairing_id="pair_0")
        await until_notes(database, pair_0="warm up")
        event_id = await publish(bus, "poison", message_id="original")
        started = time.monotonic()
        await publish(bus, "later")
        await until_notes(database, pair_0="warm up", pair_1="later")
        assert time.monotonic() - started < 1
        (message,) = await dead(admin, 1)
        await until_acknowledged(admin)
    assert json.loads(message.data)["name"] == "poison"
    assert message.subject == "shoal.dead.toy.toy-names"
    assert message.headers["ce-id"] == event_id
    assert message.headers["shoal-subject"] == "shoal.events.pairing.renamed.v1.pair_1"
    assert message.headers["shoal-reason"].startswith("ValueError('cannot")
    assert message.headers["Nats-Msg-Id"] == "toy-names:2"
    assert outcomes(metrics) == {"done": 2, "retried": deliveries.MOST_FAILURES - 1, "dead": 1}


async def test_poison_of_two_purposes_is_set_aside_twice(bus: Bus, make: Make, admin: Client) -> None:
    async def choke(_: Transaction, __: PairingRenamed) -> None:
        raise ValueError

    handlers: Handlers = {PairingRenamed: choke}
    async with at_work(make(handlers).run(), make(handlers, purpose="other").run()):
        await publish(bus, "poison")
        found = await dead(admin, 2)
    assert {message.subject for message in found} == {"shoal.dead.toy.toy-names", "shoal.dead.toy.toy-other"}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"{", {}),
        (b"\xff\xfe", {}),
        (b'{"pairing_id": 1}', {}),
        (b'{"pairing_id": "pair_1"}', {}),
        (b"[" * 100_000, {}),
        (None, {"ce-id": "no uuid"}),
        (None, {"ce-type": "something.else.v1"}),
        (None, {"ce-type": ""}),
    ],
)
async def test_what_cannot_be_read_is_set_aside_at_once(
    database: Database,
    bus: Bus,
    make: Make,
    admin: Client,
    metrics: Metrics,
    body: bytes | None,
    headers: dict[str, str],
) -> None:
    event = renamed(name="unread")
    told = {"ce-type": event.event_type, "ce-id": str(uuid4())} | headers
    async with at_work(make().run()):
        payload = event.to_json() if body is None else body
        await bus.publish(event.subject, payload, message_id="m", stream=EVENTS, headers=told)
        await publish(bus, "good")
        await until_notes(database, pair_1="good")
        (message,) = await dead(admin, 1)
        await until_acknowledged(admin)
    assert message.data == payload
    assert outcomes(metrics) == {"dead": 1, "done": 1}


@pytest.mark.parametrize(
    "head",
    [
        b"NATS/1.0\r\n\r\n",
        b"NATS/1.0\r\nce-type: pairing.renamed.v1\r\nodd: \xff\xfe\xc3\r\n\r\n",
        b"NATS/1.0\r\nce-type: pairing.renamed.v1\r\nstrange name: x\r\n\r\n",
        b"NATS/1.0\r\nwithout a colon\r\n\r\n",
        b"NATS/1.0\r\nStatus: 503\r\n\r\n",
        b"rubbish, longer than the first line of headers\r\n\r\n",
    ],
)
async def test_headers_of_a_stranger_stop_nobody(
    database: Database, bus: Bus, make: Make, nats_at_hand: EmbeddedNats, admin: Client, head: bytes
) -> None:
    """Whoever may publish may write any bytes there; nats-py itself would refuse to send these."""
    async with at_work(make().run()):
        reader, writer = await asyncio.open_connection("127.0.0.1", nats_at_hand.port)
        body = renamed().to_json()
        subject = renamed().subject.encode()
        writer.write(b'CONNECT {"verbose":false,"headers":true}\r\n')
        writer.write(b"HPUB %s %d %d\r\n%s%s\r\nPING\r\n" % (subject, len(head), len(head) + len(body), head, body))
        await writer.drain()
        while await reader.readline() not in {b"PONG\r\n", b""}:
            pass
        writer.close()
        await publish(bus, "good")
        await until_notes(database, pair_1="good")
        await dead(admin, 1)


async def test_full_stream_of_the_dead_stops_nobody(database: Database, bus: Bus, make: Make, admin: Client) -> None:
    config = (await admin.jetstream().stream_info(DEAD)).config
    config.max_msgs = 1
    await admin.jetstream().update_stream(config)
    await admin.jetstream().publish("shoal.dead.toy.x", b"")
    event = renamed()
    async with at_work(make().run()):
        await bus.publish(event.subject, b"unreadable", message_id="m", stream=EVENTS)
        await publish(bus, "good")
        await until_notes(database, pair_1="good")
        await admin.jetstream().purge_stream(DEAD)

        async def kept() -> bool:
            return int((await admin.jetstream().stream_info(DEAD)).state.messages) == 1

        await until(kept, within_s=8)
        await until_acknowledged(admin)


# outages


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
    flaky: Flaky, bus: Bus, metrics: Metrics, tracing: Tracing, admin: Client
) -> None:
    tries = 0

    async def stumble_once(tx: Transaction, fact: PairingRenamed) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise KeyError
        await keep(tx, fact)

    subscription = Subscription("names", {PairingRenamed: stumble_once})
    subscriber = Subscriber(subscription, service="toy", database=flaky, bus=bus, metrics=metrics, tracing=tracing)
    flaky.is_away = True
    async with at_work(subscriber.run()):
        for number in range(20):
            await publish(bus, "x", pairing_id=f"pair_{number}")
        await until(lambda: flaky.asked > deliveries.MOST_FAILURES + 2, within_s=8)
        assert flaky.asked < 100  # one try for each batch, not one for each message
        flaky.is_away = False
        await until_notes(flaky, **{f"pair_{number}": "x" for number in range(20)})
        await until_acknowledged(admin)
    assert outcomes(metrics)["done"] == 20
    assert "dead" not in outcomes(metrics)


async def test_message_whose_own_statement_takes_too_long_stops_nobody(
    database: Database, bus: Bus, make: Make
) -> None:
    async def slow(tx: Transaction, fact: PairingRenamed) -> None:
        if fact.name == "slow":
            raise DatabaseUnavailableError  # as a statement that ran out of time does
        await keep(tx, fact)

    async with at_work(make({PairingRenamed: slow}).run()):
        await publish(bus, "slow")
        await publish(bus, "quick")
        await until_notes(database, pair_1="quick")


@pytest.mark.fault
async def test_nats_restarted_while_pulling_loses_and_doubles_nothing(
    database: Database, bus: Bus, make: Make, nats_at_hand: EmbeddedNats, admin: Client
) -> None:
    async with at_work(make().run()):
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
    database: Database, bus: Bus, make: Make, admin: Client
) -> None:
    async with at_work(make().run()):
        await publish(bus, "a")
        await until_notes(database, pair_1="a")
        await until_acknowledged(admin)
        await admin.jetstream().delete_consumer(EVENTS, DURABLE)
        await publish(bus, "b")
        await until_notes(database, pair_1="a b")  # the new one delivers everything; the inbox knows what is done


async def test_subscriber_says_what_keeps_it_from_subscribing(make: Make, bus: Bus, admin: Client) -> None:
    subscriber = make()
    await admin.jetstream().delete_stream(EVENTS)
    async with at_work(subscriber.run()):
        await until(lambda: "stream not found" in str(subscriber.problem()))


async def test_cancelled_subscriber_leaves_its_messages_to_the_next(
    database: Database, bus: Bus, make: Make, admin: Client
) -> None:
    started = asyncio.Event()

    async def hang(tx: Transaction, fact: PairingRenamed) -> None:
        await keep(tx, fact)
        started.set()
        await asyncio.sleep(60)

    async with at_work(make({PairingRenamed: hang}).run()):
        await publish(bus, "a")
        await asyncio.wait_for(started.wait(), 5)
    assert await notes(database) == {}
    assert await pending(admin) == 1
