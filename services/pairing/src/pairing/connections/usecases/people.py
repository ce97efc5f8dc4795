"""Accounts and users, as the gateway tells of them."""

from pairing.connections.domain.people import Person
from pairing.connections.repositories.people import PeopleRepository
from pairing.connections.usecases.agents import Agents
from pairing.connections.usecases.connections import Connections
from shoal.database import Transaction
from shoal_events import AccountCreated, AccountDeleted, UserCreated, UserDeleted, UserUpdated


class People:
    """Keep the copies, and do here what follows from a change there."""

    def __init__(self, *, agents: Agents, connections: Connections) -> None:
        self._agents = agents
        self._connections = connections

    async def take_account(self, tx: Transaction, event: AccountCreated) -> None:
        """Know an account's name and plan."""
        await PeopleRepository(tx).put_account(
            event.account_id, name=event.name, plan=event.plan, version=event.version
        )

    async def forget_account(self, tx: Transaction, event: AccountDeleted) -> None:
        """End everything that an account had here."""
        await self._connections.end_all(tx, event.account_id)
        await self._agents.remove_all(tx, event.account_id)
        await PeopleRepository(tx).delete_account(event.account_id, version=event.version)

    async def take_user(self, tx: Transaction, event: UserCreated | UserUpdated) -> None:
        """Know a user's address, and hand over the invites that waited for it."""
        people = PeopleRepository(tx)
        await people.lock_address(event.email)
        is_news = await people.put_person(
            Person(
                id=event.user_id,
                account_id=event.account_id,
                username=event.username,
                email=event.email,
                role=event.role,
                version=event.version,
            )
        )
        if is_news:
            await self._connections.address(tx, event.email, account_id=event.account_id)

    async def forget_user(self, tx: Transaction, event: UserDeleted) -> None:
        """Forget a user's name and address."""
        await PeopleRepository(tx).delete_person(event.user_id, account_id=event.account_id, version=event.version)

    async def known(self, tx: Transaction) -> list[tuple[str, str]]:
        """List the accounts and users that are here, as `key_of` names them."""
        return await PeopleRepository(tx).list_known()

    async def vanished(self, tx: Transaction, key: tuple[str, str]) -> None:
        """Forget an account or a user whom the gateway does not know."""
        people, (kind, name) = PeopleRepository(tx), key
        if kind == "account":
            version = await people.find_version(name) + 1
            await self.forget_account(tx, AccountDeleted(account_id=name, version=version))
        elif (person := await people.find_person(name)) is not None:
            version = person.version + 1
            await self.forget_user(tx, UserDeleted(user_id=name, account_id=person.account_id, version=version))


def key_of(event: AccountCreated | AccountDeleted | UserCreated | UserUpdated | UserDeleted) -> tuple[str, str]:
    """Tell of whom a fact speaks."""
    if isinstance(event, AccountCreated | AccountDeleted):
        return "account", event.account_id
    return "user", event.user_id
