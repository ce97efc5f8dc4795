"""A pull never sleeps on a message, and loses none."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from nats.aio.client import Client

from shoal.messaging import EVENTS, Bus, MessagingUnavailableError, Pull, acknowledge
from shoal_embedded.nats import EmbeddedNats

from .messages import tell
from .toy import until


@pytest_asyncio.fixture
async def pull(bus: Bus) -> AsyncIterator[Pull]:
    opened = await bus.pull(EVENTS, "toy", subjects=["shoal.events.pairing.renamed.v1.*"])
    yield opened
    await opened.close()


async def take(pull: Pull, count: int) -> list[Any]:
    """Take so many messages and acknowledge them."""
    taken: list[Any] = []
    async with asyncio.timeout(5):
        while len(taken) < count:
            for message in await pull.next(100):
                assert await acknowledge(message)
                taken.append(json.loads(message.data))
    return taken


async def test_message_is_handed_over_at_once(bus: Bus, pull: Pull) -> None:
    waiting = asyncio.create_task(take(pull, 1))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    started = time.monotonic()
    await tell(bus)
    assert await waiting == [0]
    assert time.monotonic() - started < 0.1


async def test_messages_come_in_order_and_each_once(bus: Bus, pull: Pull) -> None:
    for number in range(250):
        await tell(bus, number)
    assert await take(pull, 250) == list(range(250))


async def test_batch_is_no_larger_than_asked_for(bus: Bus, pull: Pull) -> None:
    for number in range(10):
        await tell(bus, number)
    sizes = [len(await pull.next(3)) for _ in range(4)]
    assert sum(sizes) == 10
    assert max(sizes) <= 3


async def test_request_that_ran_out_is_followed_by_another(
    bus: Bus, pull: Pull, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pull, "EXPIRES_S", 0.3)
    monkeypatch.setattr(Pull, "HEARTBEAT_S", 0.1)
    waiting = asyncio.create_task(take(pull, 2))
    await until(lambda: pull._number >= 3)
    await tell(bus, 0)
    await until(lambda: pull._number >= 5)
    await tell(bus, 1)
    assert await waiting == [0, 1]


async def test_request_that_ran_out_behind_messages_costs_none_of_them(
    bus: Bus, pull: Pull, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a request may lie in the queue behind its messages while their handler is busy."""
    monkeypatch.setattr(Pull, "EXPIRES_S", 0.3)
    monkeypatch.setattr(Pull, "HEARTBEAT_S", 0.1)
    await tell(bus, 0)
    (first,) = await pull.next(100)
    for number in range(1, 5):
        await tell(bus, number)
    await until(lambda: any((message.headers or {}).get("Status") == "408" for message in pull._queue._queue))
    await acknowledge(first)
    assert await take(pull, 4) == [1, 2, 3, 4]
    for number in range(5, 30):
        await tell(bus, number)
    assert await take(pull, 25) == list(range(5, 30))
    assert pull._outstanding <= 100


async def test_lost_request_is_noticed_by_its_silence(
    bus: Bus, pull: Pull, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pull, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(pull, "_outstanding", 100)  # as if it had been sent
    monkeypatch.setattr(pull, "_heard_at", asyncio.get_running_loop().time())
    await tell(bus)
    assert await take(pull, 1) == [0]


@pytest.mark.fault
async def test_restarted_server_hands_over_at_once(bus: Bus, pull: Pull, nats_at_hand: EmbeddedNats) -> None:
    await tell(bus, 0)
    assert await take(pull, 1) == [0]
    waiting = asyncio.create_task(take(pull, 1))
    await until(lambda: pull._outstanding > 0)
    await nats_at_hand.stop()
    await nats_at_hand.start()
    await until(lambda: bus.problem() is None)
    await until(lambda: bus.is_connected)
    await tell(bus, 1)
    started = time.monotonic()
    assert await waiting == [1]
    assert time.monotonic() - started < 1.5


async def test_deleted_consumer_ends_the_pull(bus: Bus, pull: Pull, admin: Client) -> None:
    waiting = asyncio.create_task(pull.next(10))
    await until(lambda: pull._outstanding > 0)
    await bus.client.flush()
    await admin.jetstream().delete_consumer(EVENTS, "toy")
    with pytest.raises(MessagingUnavailableError):
        await asyncio.wait_for(waiting, 2)


async def test_pull_on_a_consumer_that_is_not_there_ends_without_a_storm(bus: Bus, admin: Client) -> None:
    pull = await bus.pull(EVENTS, "short")
    await admin.jetstream().delete_consumer(EVENTS, "short")
    with pytest.raises(MessagingUnavailableError):
        await asyncio.wait_for(pull.next(10), 2)
    assert pull._number == 1
    await pull.close()


async def test_messages_that_came_before_the_end_are_handed_over(bus: Bus, pull: Pull, admin: Client) -> None:
    await tell(bus)
    waiting = asyncio.create_task(pull.next(1))
    assert len(await waiting) == 1
    await tell(bus, 1)
    first = asyncio.create_task(pull.next(10))
    assert [message.data for message in await first] == [b"1"]
    await admin.jetstream().delete_consumer(EVENTS, "toy")
    with pytest.raises(MessagingUnavailableError):
        await asyncio.wait_for(pull.next(10), 2)


async def test_durable_is_changed_by_opening_it_otherwise(bus: Bus, admin: Client) -> None:
    await (await bus.pull(EVENTS, "toy", subjects=["shoal.events.a.*"])).close()
    await (await bus.pull(EVENTS, "toy", subjects=["shoal.events.a.*", "shoal.events.b.*"])).close()
    info = await admin.jetstream().consumer_info(EVENTS, "toy")
    assert info.config.filter_subjects == ["shoal.events.a.*", "shoal.events.b.*"]


async def test_pull_without_a_stream_means_try_again(bus: Bus) -> None:
    with pytest.raises(MessagingUnavailableError):
        await bus.pull("NOWHERE", "toy")


async def test_cancelled_wait_loses_nothing(bus: Bus, pull: Pull) -> None:
    for number in range(20):
        waiting = asyncio.create_task(pull.next(10))
        await asyncio.sleep(0)
        await tell(bus, number)
        waiting.cancel()
        outcome = (await asyncio.gather(waiting, return_exceptions=True))[0]
        if isinstance(outcome, list):
            for message in outcome:
                await acknowledge(message)
        else:
            assert await take(pull, 1) == [number]


async def test_messages_that_are_worked_on_go_to_nobody_else(bus: Bus, admin: Client) -> None:
    mine = await bus.pull(EVENTS, "toy", ack_wait_s=0.6)
    for number in range(2):
        await tell(bus, number)
    (working_on,) = await mine.next(1)
    other = await bus.pull(EVENTS, "toy", ack_wait_s=0.6)
    assert await take(other, 1) == [1]
    await asyncio.sleep(1.5)  # more than twice as long as the server waits
    assert (await admin.jetstream().consumer_info(EVENTS, "toy")).num_redelivered == 0
    assert await acknowledge(working_on)
    await mine.close()
    await other.close()


async def test_message_that_was_dropped_or_whose_process_died_soon_goes_to_another(bus: Bus) -> None:
    for is_dead in (False, True):
        mine = await bus.pull(EVENTS, "toy", ack_wait_s=0.6)
        await tell(bus, int(is_dead))
        held = await mine.next(1)
        if is_dead:
            await mine.close()
        else:
            held.clear()
        other = await bus.pull(EVENTS, "toy", ack_wait_s=0.6)
        async with asyncio.timeout(2):
            assert await take(other, 1) == [int(is_dead)]
        await mine.close()
        await other.close()


async def test_acknowledgement_that_nobody_answers_is_not_certain(
    bus: Bus, pull: Pull, nats_at_hand: EmbeddedNats
) -> None:
    await tell(bus)
    (message,) = await pull.next(1)
    await nats_at_hand.stop()
    assert not await acknowledge(message, timeout_s=0.2)
