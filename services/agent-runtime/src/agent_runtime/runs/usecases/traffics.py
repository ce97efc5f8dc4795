"""Counting what people and agents say to each other."""

from collections.abc import Sequence

from agent_runtime.ports import Traffic
from agent_runtime.runs.repositories.runs import RunRepository
from shoal.database import Database


class Traffics:
    """How much went where."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def traffic(self, account_id: str, origins: Sequence[str]) -> Traffic:
        """Count what came from these origins, and the answers to it."""
        async with self._database.reading() as database:
            return await RunRepository(database).traffic(account_id, origins)
