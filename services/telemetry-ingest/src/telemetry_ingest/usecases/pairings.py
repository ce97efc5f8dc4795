"""Pairings: which agents may be heard, as pairing tells."""

from shoal.database import Database, Transaction
from shoal_events import PairingConfirmed, PairingDeleted, PairingTokenReissued
from telemetry_ingest.repositories.pairings import PairingRepository

KEEP_DAYS = 14
"""Twice the time that facts are kept: no late one can need the row."""


class Pairings:
    """Keep the copy. Who holds a socket already hears of an end by `Revocations`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def confirmed(self, tx: Transaction, event: PairingConfirmed) -> None:
        """Let an agent in from now on."""
        await PairingRepository(tx).take_confirmed(
            event.pairing_id,
            account_id=event.account_id,
            user_id=event.user_id,
            agent_id=event.agent_id,
            token_hash=bytes.fromhex(event.telemetry_token_sha256),
            version=event.version,
        )

    async def token_reissued(self, tx: Transaction, event: PairingTokenReissued) -> None:
        """Let an agent in by its new token only."""
        await PairingRepository(tx).take_token(
            event.pairing_id, token_hash=bytes.fromhex(event.telemetry_token_sha256), version=event.version
        )

    async def deleted(self, tx: Transaction, event: PairingDeleted) -> None:
        """Let nobody in by a pairing any more, whatever arrives late."""
        await PairingRepository(tx).take_ended(
            event.pairing_id,
            account_id=event.account_id,
            agent_id=event.agent_id or "",
            version=event.version,
        )

    async def known(self, tx: Transaction) -> list[str]:
        """List the pairings by which somebody may come in."""
        return await PairingRepository(tx).list_known()

    async def vanished(self, tx: Transaction, pairing_id: str) -> None:
        """Let nobody in by a pairing that its owner does not know."""
        await PairingRepository(tx).delete(pairing_id)

    async def forget_ended(self) -> None:
        """Forget pairings that ended long ago."""
        async with self._database.transaction() as tx:
            await PairingRepository(tx).forget_ended(KEEP_DAYS)
