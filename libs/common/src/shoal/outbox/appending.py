"""Where use cases leave facts."""

from uuid import uuid4

from shoal.database import Transaction
from shoal.outbox.bell import Bell
from shoal.telemetry import Tracing
from shoal_events import Event


class Outbox:
    """Where use cases leave facts."""

    def __init__(self, *, bell: Bell, tracing: Tracing) -> None:
        self._bell = bell
        self._tracing = tracing

    async def append(self, tx: Transaction, event: Event) -> None:
        """Record a fact in the transaction that makes it true; the relay hears of it when that commits."""
        is_attended = self._bell.is_attended
        await tx.value(
            """
            with appended as (
                insert into outbox (event_id, subject, type, entity_id, payload, traceparent)
                values ($1, $2, $3, $4, $5, $6)
            )
            select pg_notify($7, '')
             where $8
            """,
            *(uuid4(), event.subject, event.event_type, event.entity_id, event.to_json(), self._tracing.traceparent()),
            *(self._bell.channel, not is_attended),
        )
        if is_attended:
            tx.after_commit(self._ring)

    async def _ring(self) -> None:
        self._bell.ring()
