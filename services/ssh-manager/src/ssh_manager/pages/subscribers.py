"""Facts of other services that end tickets."""

from shoal.database import Transaction
from shoal_events import (
    AccountDeleted,
    ApiKeyRevoked,
    InstanceDeleted,
    LoginEnded,
    UserDeleted,
    UserUpdated,
)
from ssh_manager.pages.usecases.tickets import Tickets


class TicketSubscribers:
    """What happens to tickets when something happens elsewhere; assignments are asked about at every use."""

    def __init__(self, tickets: Tickets) -> None:
        self._tickets = tickets

    async def on_login_ended(self, tx: Transaction, event: LoginEnded) -> None:
        """Take back what was got by a login."""
        await self._tickets.take_back_of_credential(tx, event.login_id)

    async def on_api_key_revoked(self, tx: Transaction, event: ApiKeyRevoked) -> None:
        """Take back what was got by a key."""
        await self._tickets.take_back_of_credential(tx, event.key_id)

    async def on_user_updated(self, tx: Transaction, event: UserUpdated) -> None:
        """Take back what a user got: the role may be another now."""
        await self._tickets.take_back_of_user(tx, event.user_id)

    async def on_user_deleted(self, tx: Transaction, event: UserDeleted) -> None:
        """Take back what a user got."""
        await self._tickets.take_back_of_user(tx, event.user_id)

    async def on_account_deleted(self, tx: Transaction, event: AccountDeleted) -> None:
        """Take back what an account's users got."""
        await self._tickets.take_back_of_account(tx, event.account_id)

    async def on_instance_deleted(self, tx: Transaction, event: InstanceDeleted) -> None:
        """Take back what was got for an instance."""
        await self._tickets.take_back_of_instance(tx, event.instance_id)
