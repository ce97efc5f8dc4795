"""The outbox, and whoever in this process must hear of a fact the moment that it stands."""

from collections.abc import Callable

from shoal.database import Transaction
from shoal.outbox import Bell, Outbox
from shoal.telemetry import Tracing
from shoal_events import Event


class HeardOutbox(Outbox):
    """Tells this process of its own facts as soon as they are committed; the others hear of them by NATS."""

    def __init__(self, *, bell: Bell, tracing: Tracing, hear: Callable[[Event], None]) -> None:
        super().__init__(bell=bell, tracing=tracing)
        self._hear = hear

    async def append(self, tx: Transaction, event: Event) -> None:
        """Record a fact in the transaction that makes it true."""
        await super().append(tx, event)

        async def tell() -> None:
            self._hear(event)

        tx.after_commit(tell)
