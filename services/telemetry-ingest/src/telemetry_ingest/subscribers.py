"""Facts of other services: the copy of pairings."""

from shoal.database import Transaction
from shoal_events import PairingConfirmed, PairingDeleted, PairingTokenReissued
from telemetry_ingest.usecases.pairings import Pairings


class PairingSubscribers:
    """Keeps the copy of pairings, by which agents are let in."""

    def __init__(self, pairings: Pairings) -> None:
        self._pairings = pairings

    async def on_confirmed(self, tx: Transaction, event: PairingConfirmed) -> None:
        """Let the agent in."""
        await self._pairings.confirmed(tx, event)

    async def on_token_reissued(self, tx: Transaction, event: PairingTokenReissued) -> None:
        """Let the agent in by its new token only."""
        await self._pairings.token_reissued(tx, event)

    async def on_deleted(self, tx: Transaction, event: PairingDeleted) -> None:
        """Let nobody in by this pairing any more."""
        await self._pairings.deleted(tx, event)
