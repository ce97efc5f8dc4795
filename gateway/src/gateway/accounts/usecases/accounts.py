"""Setting Shoal up; making, listing and deleting accounts."""

from gateway.accounts.domain import Account, NewAccount, OpenedAccount
from gateway.accounts.errors import FirstAccountError, FirstAccountRequiredError, SetupDoneError
from gateway.accounts.repositories import AccountRepository, UserRepository
from gateway.accounts.usecases import facts
from gateway.accounts.usecases.users import Users
from gateway.passwords import Passwords
from shoal.copies import ExportedFact, exported
from shoal.database import Database, Transaction
from shoal.http.pagination import Page
from shoal.identity import Principal
from shoal.ids import new_id
from shoal.outbox import Outbox

_USERS = "user:"


class Accounts:
    """Set Shoal up; make, list and delete accounts."""

    def __init__(self, *, database: Database, outbox: Outbox, passwords: Passwords, users: Users, plan: str) -> None:
        self._database = database
        self._outbox = outbox
        self._passwords = passwords
        self._users = users
        self._plan = plan

    async def is_setup_required(self) -> bool:
        """Tell whether there is no account yet."""
        async with self._database.reading() as database:
            return not await AccountRepository(database).has_any()

    async def set_up(self, new: NewAccount) -> OpenedAccount:
        """Make the first account and its admin; of many at once, exactly one succeeds.

        Raises:
            SetupDoneError: There is an account already.
            PasswordRefusedError: The password is too short or too long.
        """
        if not await self.is_setup_required():
            raise SetupDoneError
        return await self._open(new, is_first=True)

    async def create(self, new: NewAccount, *, by: Principal) -> OpenedAccount:
        """Make an account and its first admin.

        Raises:
            FirstAccountRequiredError: The caller is no admin of the first account.
            UsernameTakenError: The admin's name is taken.
            EmailTakenError: The admin's address is taken.
            PasswordRefusedError: The password is too short or too long.
        """
        await self._require_first_account(by)
        return await self._open(new, is_first=False)

    async def add(self, new: NewAccount) -> OpenedAccount:
        """Make an account for the operator; the first one if there is none.

        Raises:
            UsernameTakenError: The admin's name is taken.
            EmailTakenError: The admin's address is taken.
            PasswordRefusedError: The password is too short or too long.
        """
        return await self._open(new, is_first=await self.is_setup_required())

    async def get(self, account_id: str) -> Account:
        """Read an account.

        Raises:
            AccountNotFoundError: There is none.
        """
        async with self._database.reading() as database:
            return await AccountRepository(database).get(account_id)

    async def list_all(self) -> list[Account]:
        """List every account, oldest first."""
        async with self._database.reading() as database:
            return await AccountRepository(database).list_all()

    async def list_for(self, by: Principal) -> list[Account]:
        """List every account for an admin of the first.

        Raises:
            FirstAccountRequiredError: The caller is none.
        """
        await self._require_first_account(by)
        return await self.list_all()

    async def remove(self, account_id: str, *, by: Principal) -> None:
        """Delete an account with its users, their logins and keys; every service forgets what it holds of it.

        Raises:
            FirstAccountRequiredError: The caller is no admin of the first account.
            AccountNotFoundError: There is no such account.
            FirstAccountError: It is the first one.
        """
        await self._require_first_account(by)
        async with self._database.transaction() as tx:
            account = await AccountRepository(tx).lock(account_id)
            if account.is_first:
                raise FirstAccountError
            for user in await UserRepository(tx).list_of(account_id):
                await self._users.delete(tx, user)
            await self._outbox.append(tx, facts.deleted_account(await AccountRepository(tx).delete(account_id)))

    async def export(self, after: str, limit: int) -> Page[ExportedFact]:
        """Tell every account, then every user, as facts, for copies elsewhere."""
        async with self._database.reading() as database:
            if after.startswith(_USERS):
                return await _export_users(database, after.removeprefix(_USERS), limit)
            accounts = await AccountRepository(database).export(after, limit)
        told = [exported(facts.of_account(account)) for account in accounts]
        return Page(told, next=accounts[-1].id if len(accounts) == limit else _USERS)

    async def _open(self, new: NewAccount, *, is_first: bool) -> OpenedAccount:
        password_hash = await self._passwords.hash(new.admin.password)
        async with self._database.transaction() as tx:
            account = await AccountRepository(tx).insert(
                new_id("acct"), name=new.name.strip(), plan=self._plan, is_first=is_first
            )
            await self._outbox.append(tx, facts.created_account(account))
            admin = await self._users.insert(tx, new.admin, account_id=account.id, password_hash=password_hash)
        return OpenedAccount(account, admin)

    async def _require_first_account(self, by: Principal) -> None:
        async with self._database.reading() as database:
            own = await AccountRepository(database).get(by.account_id)
        if not own.is_first:
            raise FirstAccountRequiredError


async def _export_users(database: Transaction, after: str, limit: int) -> Page[ExportedFact]:
    users = await UserRepository(database).export(after, limit)
    told = [exported(facts.of_user(user)) for user in users]
    return Page(told, next=f"{_USERS}{users[-1].id}" if len(users) == limit else None)
