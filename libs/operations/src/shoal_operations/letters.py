"""Dead letters: what could not be handled, to be looked at and, once the cause is mended, sent again.

A letter goes to the subject where it came from, under its own `ce-id`: receivers that had handled it know that.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from uuid import uuid4

from msgspec import Struct
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from shoal.messaging import DEAD

OWN = ("shoal-subject", "shoal-reason")


class Letter(Struct, frozen=True):
    """One message that could not be handled."""

    sequence: int
    consumer: str
    subject: str
    reason: str
    died_at: datetime | None
    body: bytes
    headers: dict[str, str]


async def letters(client: Client) -> AsyncIterator[Letter]:
    """Yield every dead letter, oldest first."""
    jetstream = client.jetstream()
    state = (await jetstream.stream_info(DEAD)).state
    for sequence in range(max(1, state.first_seq), state.last_seq + 1):  # 0 where there never was one
        try:
            message = await jetstream.get_msg(DEAD, sequence)
        except NotFoundError:
            continue
        headers = dict(message.headers or {})
        yield Letter(
            sequence=sequence,
            consumer=str(message.subject).rpartition(".")[2],
            subject=headers.get("shoal-subject", ""),
            reason=headers.get("shoal-reason", ""),
            died_at=message.time,
            body=message.data or b"",
            headers={name: value for name, value in headers.items() if name not in OWN},
        )


async def replay(client: Client, chosen: Sequence[int] | None = None) -> int:
    """Send letters again, by default all, and forget those that were taken; returns how many."""
    jetstream, sent = client.jetstream(), 0
    async for letter in letters(client):
        if chosen is not None and letter.sequence not in chosen:
            continue
        headers = {name: value for name, value in letter.headers.items() if not name.startswith("Nats-")}
        await jetstream.publish(letter.subject, letter.body, headers=headers | {"Nats-Msg-Id": str(uuid4())})
        await jetstream.delete_msg(DEAD, letter.sequence)
        sent += 1
    return sent
