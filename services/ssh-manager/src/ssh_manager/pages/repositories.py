"""SQL of tickets."""

from datetime import timedelta

from shoal.database import Transaction
from ssh_manager.pages.domain import Ticket


class TicketRepository:
    """Rows of `ticket`."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def delete_oldest(self, user_id: str, instance_id: int, *, kept: int) -> None:
        """Delete a user's tickets for an instance but for the newest, of which so many are kept."""
        await self._tx.execute(
            """
            delete from ticket
             where fingerprint in (select fingerprint
                                     from ticket
                                    where user_id = $1 and instance_id = $2
                                    order by created_at desc
                                   offset $3)
            """,
            *(user_id, instance_id, kept),
        )

    async def insert(self, fingerprint: bytes, ticket: Ticket, *, lasts: timedelta) -> None:
        """Write a ticket."""
        await self._tx.execute(
            """
            insert into ticket (fingerprint, instance_id, account_id, user_id, username, role, via, credential_id,
                                expires_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, now() + $9)
            """,
            *(fingerprint, ticket.instance_id, ticket.account_id, ticket.user_id, ticket.username),
            *(ticket.role, ticket.via, ticket.credential_id, lasts),
        )

    async def renew(self, fingerprint: bytes, *, lasts: timedelta) -> Ticket | None:
        """Read a ticket that is still good, and let it last so long from now; None when it is not good."""
        return await self._tx.find(
            Ticket,
            """
            update ticket
               set expires_at = greatest(expires_at, now() + $2)
             where fingerprint = $1 and expires_at > now()
            returning instance_id, account_id, user_id, username, role, via, credential_id
            """,
            *(fingerprint, lasts),
        )

    async def delete_of_credential(self, credential_id: str) -> None:
        """Delete what was got by a login or a key."""
        await self._tx.execute("delete from ticket where credential_id = $1", credential_id)

    async def delete_of_user(self, user_id: str) -> None:
        """Delete a user's tickets."""
        await self._tx.execute("delete from ticket where user_id = $1", user_id)

    async def delete_of_account(self, account_id: str) -> None:
        """Delete the tickets of an account's users."""
        await self._tx.execute("delete from ticket where account_id = $1", account_id)

    async def delete_of_instance(self, instance_id: int) -> None:
        """Delete the tickets for an instance."""
        await self._tx.execute("delete from ticket where instance_id = $1", instance_id)

    async def delete_expired(self) -> None:
        """Delete what ran out."""
        await self._tx.execute("delete from ticket where expires_at < now()")
