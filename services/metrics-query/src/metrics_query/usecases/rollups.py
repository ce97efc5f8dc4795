"""Rolling up: minute rows into ledgers, ledgers into hours, hours into days."""

from datetime import timedelta

from metrics_query.domain.periods import Grain
from metrics_query.repositories.buckets import BucketRepository
from metrics_query.repositories.ledgers import LedgerRepository
from metrics_query.repositories.sources import SourceRepository
from metrics_query.usecases.recounts import UNCHANGED, recount, recounted_days, recounted_skill_days
from shoal.database import Database

AT_ONCE = 200
"""Sources looked up at a time."""


class Rollups:
    """Stores what follows from changed minute rows.

    One short transaction per source, under its lock: a source that samples are being counted for is left for the next
    turn. What is stored is a pure function of the minute rows, so it does not matter when or how often this happens.
    """

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def roll_all(self, *, at_least: timedelta) -> int:
        """Roll up every source whose rows changed a while ago, the longest first; returns how many."""
        done = 0
        while True:
            async with self._database.reading() as database:
                sources = await SourceRepository(database).longest_dirty(at_least=at_least, limit=AT_ONCE)
            rolled = [source for source in sources if await self.roll(source)]
            done += len(rolled)
            if len(sources) < AT_ONCE or not rolled:
                return done

    async def roll(self, source: int) -> bool:
        """Roll up one source; False when its lock is held."""
        async with self._database.transaction() as tx:
            sources, buckets = SourceRepository(tx), BucketRepository(tx)
            if not await sources.lock_one(source):
                return False
            changed = await recount(tx, source)
            if changed is not UNCHANGED:
                days = await recounted_days(tx, source, changed)
                skill_days = await recounted_skill_days(tx, source, changed)
                await LedgerRepository(tx).save(source, changed.ledgers)
                await buckets.save(Grain.HOUR, source, changed.hours)
                await buckets.save(Grain.DAY, source, days)
                await buckets.save_skills(Grain.HOUR, source, changed.skills)
                await buckets.save_skills(Grain.DAY, source, skill_days)
                await sources.clean(source)
        return True
