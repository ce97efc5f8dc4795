"""SQL of one-time links."""

from datetime import datetime, timedelta

from gateway.accounts.domain import User
from shoal.database import Transaction


class LinkRepository:
    """Rows of `sign_in_link`."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(self, code_hash: bytes, *, user_id: str, ttl: timedelta) -> datetime:
        """Add a link; returns until when it may be used."""
        expires_at: datetime = await self._tx.value(
            """
            insert into sign_in_link (code_hash, person_id, expires_at)
            values ($1, $2, now() + $3)
            returning expires_at
            """,
            *(code_hash, user_id, ttl),
        )
        return expires_at

    async def use(self, code_hash: bytes) -> User | None:
        """Use a link up; None when it cannot be used: one statement, so that one use wins."""
        return await self._tx.find(
            User,
            """
            update sign_in_link as link
               set used_at = now()
              from person as p
             where link.code_hash = $1
               and link.used_at is null
               and link.expires_at > now()
               and p.id = link.person_id
               and p.deleted_at is null
            returning p.id, p.account_id, p.username, p.email, p.role, p.version, p.created_at, p.deleted_at
            """,
            code_hash,
        )

    async def delete_old(self) -> None:
        """Delete links that can no longer be used."""
        await self._tx.execute("delete from sign_in_link where expires_at < now() - interval '1 day'")
