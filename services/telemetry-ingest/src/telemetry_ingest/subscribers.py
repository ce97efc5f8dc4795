"""Facts of other services: the copy of pairings."""

from shoal.database import Transaction
from shoal_events import PairingConfirmed, PairingDeleted, PairingTokenReissued
from telemetry_ingest.repositories.pairings import PairingRepository


class PairingSubscribers:
    """Keeps the copy of pairings. Who holds a socket already hears of an end by `Revocations`."""

    async def on_confirmed(self, tx: Transaction, event: PairingConfirmed) -> None:
        """Let the agent in."""
        await PairingRepository(tx).take_confirmed(
            event.pairing_id,
            account_id=event.account_id,
            user_id=event.user_id,
            agent_id=event.agent_id,
            token_hash=bytes.fromhex(event.telemetry_token_sha256),
            version=event.version,
        )

    async def on_token_reissued(self, tx: Transaction, event: PairingTokenReissued) -> None:
        """Let the agent in by its new token only."""
        await PairingRepository(tx).take_token(
            event.pairing_id, token_hash=bytes.fromhex(event.telemetry_token_sha256), version=event.version
        )

    async def on_deleted(self, tx: Transaction, event: PairingDeleted) -> None:
        """Let nobody in by this pairing any more, whatever arrives late."""
        await PairingRepository(tx).take_ended(
            event.pairing_id,
            account_id=event.account_id,
            agent_id=event.agent_id or "",
            version=event.version,
        )
