"""Facts of the gateway: who there is."""

from pairing.connections.usecases.people import People
from shoal.database import Transaction
from shoal_events import AccountCreated, AccountDeleted, UserCreated, UserDeleted, UserUpdated


class PeopleSubscribers:
    """What is done here when accounts and users come, change and go."""

    def __init__(self, people: People) -> None:
        self._people = people

    async def on_account_created(self, tx: Transaction, event: AccountCreated) -> None:
        """Know the account."""
        await self._people.take_account(tx, event)

    async def on_account_deleted(self, tx: Transaction, event: AccountDeleted) -> None:
        """End what the account had."""
        await self._people.forget_account(tx, event)

    async def on_user_told(self, tx: Transaction, event: UserCreated | UserUpdated) -> None:
        """Know the user's address."""
        await self._people.take_user(tx, event)

    async def on_user_deleted(self, tx: Transaction, event: UserDeleted) -> None:
        """Forget the user's address."""
        await self._people.forget_user(tx, event)
