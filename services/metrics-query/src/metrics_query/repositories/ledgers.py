"""Table `ledger`."""

import msgspec

from metrics_query.domain.ledgers import Ledger
from metrics_query.domain.moments import from_hour, to_hour
from shoal.database import Transaction


class LedgerRepository:
    """Ledgers by hour; whoever writes holds the lock of the source."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def around(self, source: int, first: int) -> dict[int, Ledger]:
        """Read the ledgers from an hour on, and the latest one before it."""
        return await self._read(
            """
            select hour, entries from ledger
             where source = $1
               and hour >= coalesce((select max(hour) from ledger where source = $1 and hour < $2), $2)
             order by hour
            """,
            *(source, from_hour(first)),
        )

    async def between(self, source: int, first: int, end: int) -> dict[int, Ledger]:
        """Read the ledgers from one hour up to and without another."""
        return await self._read(
            "select hour, entries from ledger where source = $1 and hour >= $2 and hour < $3 order by hour",
            *(source, from_hour(first), from_hour(end)),
        )

    async def save(self, source: int, ledgers: dict[int, Ledger]) -> None:
        """Write ledgers by hour."""
        await self._tx.execute_many(
            """
            insert into ledger (source, hour, entries) values ($1, $2, $3)
                on conflict (source, hour) do update set entries = excluded.entries
            """,
            [(source, from_hour(hour), msgspec.json.encode(ledger).decode()) for hour, ledger in ledgers.items()],
        )

    async def _read(self, sql: str, source: int, *hours: object) -> dict[int, Ledger]:
        records = await self._tx.connection.fetch(sql, source, *hours)
        return {to_hour(record[0]): msgspec.json.decode(record[1], type=Ledger) for record in records}
