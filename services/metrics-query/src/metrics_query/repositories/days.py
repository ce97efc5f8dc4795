"""The partitions by day of `minute` and `skill_minute`, and what outlives its use."""

from datetime import date, timedelta

from shoal.database import Transaction


class DayRepository:
    """Days: opened before the first row of theirs, dropped whole."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def open(self, day: date) -> None:
        """Make room for a UTC day's rows, if there is none."""
        await self._tx.execute("select open_day($1)", day)

    async def drop(self, before: date) -> int:
        """Drop the rows of all days before one; returns how many partitions that were."""
        dropped: int = await self._tx.value("select drop_days($1)", before)
        return dropped

    async def forget_ledgers(self, older_than: timedelta) -> int:
        """Delete ledgers that no minute rows stand behind any more, but each agent's latest."""
        return await self._tx.execute(
            """
            delete from ledger as old
             where hour < now() - $1::interval
               and exists (select from ledger as new where new.source = old.source and new.hour > old.hour)
            """,
            older_than,
        )

    async def forget_hours(self, older_than: timedelta) -> int:
        """Delete hours that are kept as days only; returns how many."""
        await self._tx.execute(
            "delete from skill_bucket where grain = 'hour' and start < now() - $1::interval", older_than
        )
        return await self._tx.execute(
            "delete from bucket where grain = 'hour' and start < now() - $1::interval", older_than
        )
