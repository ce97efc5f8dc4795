"""SQL of tickets."""

from datetime import timedelta

from msgspec import Struct

from shoal.database import Transaction
from shoal.identity import Principal, Role, Via

MOST_TICKETS = 50
"""Of one user for one instance; the oldest give way."""


class Ticket(Struct, frozen=True, kw_only=True):
    """Whom a ticket was given to, and for what."""

    instance_id: int
    account_id: str
    user_id: str
    username: str
    role: Role
    via: Via
    credential_id: str

    @property
    def principal(self) -> Principal:
        """The user whom it was given to."""
        return Principal(
            via=self.via,
            account_id=self.account_id,
            user_id=self.user_id,
            username=self.username,
            role=self.role,
            credential_id=self.credential_id,
        )


class TicketRepository:
    """Rows of `ticket`."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(self, fingerprint: bytes, ticket: Ticket, *, lasts: timedelta) -> None:
        """Write a ticket; the user's oldest ones for this instance give way."""
        await self._tx.execute(
            """
            delete from ticket
             where fingerprint in (select fingerprint
                                     from ticket
                                    where user_id = $1 and instance_id = $2
                                    order by created_at desc
                                   offset $3)
            """,
            ticket.user_id,
            ticket.instance_id,
            MOST_TICKETS - 1,
        )
        await self._tx.execute(
            """
            insert into ticket (fingerprint, instance_id, account_id, user_id, username, role, via, credential_id,
                                expires_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, now() + $9)
            """,
            fingerprint,
            ticket.instance_id,
            ticket.account_id,
            ticket.user_id,
            ticket.username,
            ticket.role,
            ticket.via,
            ticket.credential_id,
            lasts,
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
            fingerprint,
            lasts,
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
