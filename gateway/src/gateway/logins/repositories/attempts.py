"""SQL of attempts to sign in."""

from datetime import timedelta

from shoal.database import Transaction


class AttemptRepository:
    """Rows of `login_attempt`, one per door: how often it was tried in vain, and until when it is closed."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def count(self, key: str, *, free: int, longest: timedelta, forgotten_after: timedelta) -> bool:
        """Count an attempt as failed, and close the door past `free` of them; False when it is closed already."""
        return bool(
            await self._tx.value(
                """
                insert into login_attempt as tried (key, failures)
                values ($1, 1)
                    on conflict (key) do update
                   set failures = case when tried.tried_at < now() - $4::interval then 1 else tried.failures + 1 end,
                       closed_until = case
                           when tried.tried_at < now() - $4::interval or tried.failures < $2 then null
                           else now() + least($3::interval, interval '1 s' * power(2, least(tried.failures - $2, 20)))
                       end,
                       tried_at = now()
                 where tried.closed_until is null or tried.closed_until <= now()
                returning true
                """,
                *(key, free, longest, forgotten_after),
            )
        )

    async def closed_for(self, key: str) -> float | None:
        """Tell for how many seconds a door stays closed."""
        seconds: float | None = await self._tx.value(
            "select extract(epoch from closed_until - now())::float from login_attempt where key = $1", key
        )
        return seconds

    async def delete(self, key: str) -> None:
        """Forget every failure at a door."""
        await self._tx.execute("delete from login_attempt where key = $1", key)

    async def take_back(self, key: str) -> None:
        """Count one failure less, and open the door."""
        await self._tx.execute(
            "update login_attempt set failures = greatest(failures - 1, 0), closed_until = null where key = $1", key
        )

    async def delete_old(self, older_than: timedelta) -> None:
        """Delete what no longer counts."""
        await self._tx.execute("delete from login_attempt where tried_at < now() - $1::interval", older_than)
