"""Keeping what is kept, for as long as it is kept."""

from datetime import timedelta

from metrics_query.repositories.days import DayRepository
from metrics_query.repositories.sources import SourceRepository
from shoal.clock import Clock
from shoal.database import Database

AHEAD = 2
"""For how many days from today there is room in advance."""


class Retention:
    """Opens days before their first sample comes and forgets what is older than the policy; days stay for ever."""

    def __init__(self, *, database: Database, clock: Clock, minutes_kept: timedelta, hours_kept: timedelta) -> None:
        self._database = database
        self._clock = clock
        self._minutes_kept = minutes_kept
        self._hours_kept = hours_kept

    async def apply(self) -> None:
        """Do both, each step in a transaction of its own."""
        today = self._clock.now().date()
        for ahead in range(AHEAD + 1):
            async with self._database.transaction() as tx:
                await DayRepository(tx).open(today + timedelta(days=ahead))
        async with self._database.transaction() as tx:
            await DayRepository(tx).drop(today - self._minutes_kept)
        async with self._database.transaction() as tx:
            await DayRepository(tx).forget_ledgers(self._minutes_kept)
            await DayRepository(tx).forget_hours(self._hours_kept)
            await SourceRepository(tx).forget_seen(self._minutes_kept + timedelta(days=1))
