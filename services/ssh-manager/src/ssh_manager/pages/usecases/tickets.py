"""Tickets: what lets a browser see an instance's pages without any cookie."""

import secrets
import time
from datetime import timedelta
from hashlib import sha256

from msgspec import structs

from shoal.database import Database, Transaction
from shoal.errors import AppError, UnavailableError
from shoal.identity import Principal, Role
from ssh_manager.entrance import Close, Entrance, reason_to_leave
from ssh_manager.errors import AddressRestrictedError
from ssh_manager.pages.domain import Grant, Ticket
from ssh_manager.pages.errors import TicketSpentError
from ssh_manager.pages.repositories import TicketRepository
from ssh_manager.ports import Instance

BELIEVED_S = 1.5
"""How long what was found out about a ticket is believed: a page asks for many parts at once."""
MAX_BELIEVED = 10_000
MAX_TICKETS = 50
"""Of one user for one instance; the oldest give way."""
_BYTES = 32
_LONGEST = 64


class Tickets:
    """Give out, honour and take back tickets."""

    def __init__(self, *, database: Database, entrance: Entrance, lasts: timedelta) -> None:
        self._database = database
        self._entrance = entrance
        self._lasts = lasts
        self._believed: dict[tuple[bytes, str], tuple[float, Grant]] = {}

    async def give(self, instance: Instance, *, to: Principal) -> str:
        """Give a user who may use an instance a ticket for its pages; shown once, kept as a fingerprint."""
        secret = secrets.token_urlsafe(_BYTES)
        ticket = Ticket(
            instance_id=instance.id,
            account_id=to.account_id,
            user_id=to.user_id,
            username=to.username,
            role=to.role or Role.USER,
            via=to.via,
            credential_id=to.credential_id,
        )
        async with self._database.transaction() as tx:
            tickets = TicketRepository(tx)
            await tickets.delete_oldest(ticket.user_id, ticket.instance_id, kept=MAX_TICKETS - 1)
            await tickets.insert(_fingerprint(secret), ticket, lasts=self._lasts)
        return secret

    async def honour(self, secret: str, instance_id: str, *, source: str) -> Grant:
        """Let in whoever comes with a ticket for this very instance; it lasts longer for it.

        Raises:
            TicketSpentError: It ran out, was taken back, is for another instance, or the user may not use this one.
            AddressRestrictedError: The instance may not be reached from there.
        """
        fingerprint = _fingerprint(secret)
        believed = self._believed.get((fingerprint, source))
        if len(secret) > _LONGEST:
            raise TicketSpentError
        if believed is not None and believed[0] > time.monotonic():
            grant = believed[1]
        else:
            grant = await self._look(fingerprint, source)
        if str(grant.instance_id) != instance_id:
            raise TicketSpentError
        return grant

    async def reason_to_leave(self, grant: Grant) -> Close | None:
        """Tell why what was granted is so no more; None while it is, and while that cannot be found out."""
        if grant.fingerprint is not None:
            return await reason_to_leave(self._look(grant.fingerprint, grant.principal.source))
        return await reason_to_leave(self._entrance.admit(grant.principal, str(grant.instance_id)))

    async def take_back_of_credential(self, tx: Transaction, credential_id: str) -> None:
        """Take back what was got by a login or a key."""
        await TicketRepository(tx).delete_of_credential(credential_id)
        tx.after_commit(self._doubt)

    async def take_back_of_user(self, tx: Transaction, user_id: str) -> None:
        """Take back a user's tickets."""
        await TicketRepository(tx).delete_of_user(user_id)
        tx.after_commit(self._doubt)

    async def take_back_of_account(self, tx: Transaction, account_id: str) -> None:
        """Take back the tickets of an account's users."""
        await TicketRepository(tx).delete_of_account(account_id)
        tx.after_commit(self._doubt)

    async def take_back_of_instance(self, tx: Transaction, instance_id: str) -> None:
        """Take back the tickets for an instance."""
        await TicketRepository(tx).delete_of_instance(int(instance_id))
        tx.after_commit(self._doubt)

    async def forget_expired(self) -> None:
        """Forget what ran out."""
        async with self._database.transaction() as tx:
            await TicketRepository(tx).delete_expired()

    async def _look(self, fingerprint: bytes, source: str) -> Grant:
        self._believed.pop((fingerprint, source), None)
        async with self._database.transaction() as tx:
            ticket = await TicketRepository(tx).renew(fingerprint, lasts=self._lasts)
        if ticket is None:
            raise TicketSpentError
        principal = structs.replace(ticket.principal, source=source)
        try:
            await self._entrance.admit(principal, str(ticket.instance_id))
        except (UnavailableError, AddressRestrictedError):
            raise
        except AppError as refused:
            raise TicketSpentError from refused
        grant = Grant(ticket.instance_id, principal, fingerprint)
        if len(self._believed) >= MAX_BELIEVED:
            self._believed.clear()
        self._believed[fingerprint, source] = (time.monotonic() + BELIEVED_S, grant)
        return grant

    async def _doubt(self) -> None:
        self._believed.clear()


def _fingerprint(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
