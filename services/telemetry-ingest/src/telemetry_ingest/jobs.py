"""What the clock asks for."""

from collections.abc import Awaitable, Callable

from shoal.database import Database
from telemetry_ingest.repositories.pairings import PairingRepository
from telemetry_ingest.repositories.presences import PresenceRepository

KEEP_DAYS = 14
"""Twice the time that facts are kept: no late one can need the row."""


def forget_ended(database: Database) -> Callable[[], Awaitable[None]]:
    """Forget presences and pairings that ended long ago."""

    async def act() -> None:
        async with database.transaction() as tx:
            await PresenceRepository(tx).forget_ended(KEEP_DAYS)
            await PairingRepository(tx).forget_ended(KEEP_DAYS)

    return act
