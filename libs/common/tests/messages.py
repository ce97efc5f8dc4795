"""Messages that the tests of messaging send, and what became of them."""

import json

from nats.aio.client import Client

from shoal.messaging import EVENTS, Bus
from shoal_embedded.nats_users import NatsUser

SUBJECT = "shoal.events.pairing.renamed.v1.pair_1"


async def tell(bus: Bus, number: int = 0) -> None:
    await bus.publish(SUBJECT, json.dumps(number).encode(), message_id=f"m{number}", stream=EVENTS)


async def stored(client: Client, stream: str = EVENTS) -> int:
    return int((await client.jetstream().stream_info(stream)).state.messages)


def users(*denied: str) -> tuple[NatsUser, NatsUser]:
    return (
        NatsUser("admin", "pw", publish_allow=(">",), subscribe_allow=(">",)),
        NatsUser("toy", "pw", publish_allow=("shoal.>", "$JS.>"), publish_deny=denied, subscribe_allow=(">",)),
    )
