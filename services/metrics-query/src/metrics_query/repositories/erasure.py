"""Everything that is kept of a closed account's agents."""

from shoal.database import Transaction

_TABLES = (
    "delete from skill_minute where source = any($1)",
    "delete from minute where source = any($1)",
    "delete from skill_bucket where source = any($1)",
    "delete from bucket where source = any($1)",
    "delete from ledger where source = any($1)",
    "delete from dirty_hour where source = any($1)",
    "delete from seen where source = any($1)",
    "delete from source where id = any($1)",
)


class ErasureRepository:
    """Erases the samples of closed accounts and all that was made of them."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def lock_some(self, *, most: int) -> list[int]:
        """Lock sources that belong to closed accounts."""
        records = await self._tx.connection.fetch(
            """
            select source.id
              from source
              join closed_account using (account_id)
             order by source.id
             limit $1
               for update of source
            """,
            most,
        )
        return [record[0] for record in records]

    async def erase(self, sources: list[int]) -> None:
        """Delete every row of some sources."""
        for statement in _TABLES:
            await self._tx.execute(statement, sources)
