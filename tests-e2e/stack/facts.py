"""What stands in the stream EVENTS, and how to put something there behind everybody's back."""

from typing import TypeVar
from uuid import uuid4

from nats.js.api import DeliverPolicy

from shoal_events import Event
from stack.running import Stack

E = TypeVar("E", bound=Event)


async def published(stack: Stack, kind: type[E]) -> list[E]:
    """Read every stored fact of a kind, oldest first."""
    subject, found = f"{kind.subject_prefix}.>", list[E]()
    async with stack.nats() as bus:
        jetstream = bus.jetstream()
        stored = (await jetstream.stream_info("EVENTS", subjects_filter=subject)).state.subjects or {}
        subscription = await jetstream.subscribe(
            subject, stream="EVENTS", ordered_consumer=True, deliver_policy=DeliverPolicy.ALL
        )
        while len(found) < sum(stored.values()):
            found.append(kind.from_json((await subscription.next_msg(timeout=5)).data))
        await subscription.unsubscribe()
    return found


async def publish_as(stack: Stack, service: str, event: Event) -> None:
    """Publish a fact once more, under a new id, as a relay might that forgot what it had sent."""
    event_id = str(uuid4())
    async with stack.nats(service) as bus:
        await bus.jetstream().publish(
            event.subject,
            event.to_json(),
            headers={
                "Nats-Msg-Id": event_id,
                "ce-id": event_id,
                "ce-type": event.event_type,
                "ce-source": event.source,
                "ce-time": "2026-01-01T00:00:00Z",
                "ce-specversion": "1.0",
                "content-type": "application/json",
            },
        )
