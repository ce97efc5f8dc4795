"""What the tests of subscriptions publish, and what they look at."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from nats.aio.client import Client

from shoal.database import Database
from shoal.messaging import DEAD, EVENTS, Bus
from shoal.subscriptions import Subscriber
from shoal.telemetry import Metrics

from .toy import Note, renamed, until

DURABLE = "toy-names"
Make = Callable[..., Subscriber]


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
