"""Where use cases leave facts."""

from uuid import uuid4

from shoal.database import Transaction
from shoal.telemetry import Tracing
from shoal_events import Event


class Outbox:
    """Where use cases leave facts."""

    def __init__(self, *, channel: str, tracing: Tracing) -> None:
        self._channel = channel
        self._tracing = tracing

    async def append(self, tx: Transaction, event: Event) -> None:
        """Record a fact in the transaction that makes it true; the relay hears of it when that commits."""
        await tx.value(
            """
            with appended as (
                insert into outbox (event_id, subject, type, entity_id, payload, traceparent)
                values ($1, $2, $3, $4, $5, $6)
            )
            select pg_notify($7, '')
            """,
            *(uuid4(), event.subject, event.event_type, event.entity_id, event.to_json(), self._tracing.traceparent()),
            self._channel,
        )
