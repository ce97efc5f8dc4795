"""Everything that is kept of a closed account's agents."""

from shoal.database import Transaction

_BY_DAY = (
    """
    delete from skill_minute
     where source = $1
       and minute < (select min(minute) + interval '1 day' from skill_minute where source = $1)
    """,
    """
    delete from minute
     where source = $1
       and minute < (select min(minute) + interval '1 day' from minute where source = $1)
    """,
)
_WHOLE = (
    "delete from skill_bucket where source = $1",
    "delete from bucket where source = $1",
    "delete from ledger where source = $1",
    "delete from dirty_hour where source = $1",
    "delete from seen where source = $1",
    "delete from source where id = $1",
)


class ErasureRepository:
    """Erases the samples of closed accounts and all that was made of them."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def lock_next(self) -> int | None:
        """Lock a source that belongs to a closed account, if there is one."""
        source: int | None = await self._tx.value(
            """
            select source.id
              from source
              join closed_account using (account_id)
             order by source.id
             limit 1
               for update of source
            """
        )
        return source

    async def erase_some(self, source: int) -> None:
        """Delete the oldest day of a source's minutes, or, when there are none, everything else of it."""
        deleted = [await self._tx.execute(statement, source) for statement in _BY_DAY]
        if not any(deleted):
            for statement in _WHOLE:
                await self._tx.execute(statement, source)
