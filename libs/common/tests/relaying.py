"""What the tests of the outbox append, and what they look at."""

import contextlib
import json
from typing import Any

import nats
from nats.aio.client import Client
from nats.js.api import DeliverPolicy

from shoal.database import Database
from shoal.messaging import EVENTS
from shoal.outbox import Outbox

from .toy import renamed, until

CHANNEL = "toy_outbox"


async def append(database: Database, outbox: Outbox, *names: str, pairing_id: str = "pair_1") -> None:
    async with database.transaction() as tx:
        for name in names:
            await outbox.append(tx, renamed(pairing_id, name))


async def published(client: Client) -> list[Any]:
    """Read every stored fact, oldest first."""
    jetstream = client.jetstream()
    count = (await jetstream.stream_info(EVENTS)).state.messages
    subscription = await jetstream.subscribe("shoal.events.>", ordered_consumer=True, deliver_policy=DeliverPolicy.ALL)
    found = [await subscription.next_msg(timeout=2) for _ in range(count)]
    await subscription.unsubscribe()
    return found


async def names(client: Client, pairing_id: str | None = None) -> list[str]:
    bodies = [json.loads(message.data) for message in await published(client)]
    return [body["name"] for body in bodies if pairing_id in {None, body["pairing_id"]}]


async def until_published(client: Client, count: int, *, within_s: float = 8) -> None:
    async def enough() -> bool:
        with contextlib.suppress(nats.errors.Error, TimeoutError):
            return int((await client.jetstream().stream_info(EVENTS)).state.messages) >= count
        return False

    await until(enough, within_s=within_s)


async def pending(database: Database) -> int:
    async with database.reading() as reading:
        return int(await reading.value("select count(*) from outbox where published_at is null"))


async def pending_are(database: Database, count: int) -> bool:
    return await pending(database) == count


async def until_sent(database: Database) -> None:
    await until(lambda: pending_are(database, 0), within_s=8)
