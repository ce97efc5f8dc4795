"""Making, listing, changing and deleting the users of an account."""

from collections.abc import Awaitable, Callable, Sequence

from gateway.accounts.domain import NewUser, User
from gateway.accounts.errors import LastAdminError, OwnDeletionError, OwnDemotionError, WrongPasswordError
from gateway.accounts.repositories import AccountRepository, UserRepository
from gateway.accounts.usecases import facts
from gateway.passwords import Passwords
from shoal.database import Database, Transaction
from shoal.identity import Principal, Role
from shoal.ids import new_id
from shoal.outbox import Outbox

EndCredentials = Callable[[Transaction, User], Awaitable[None]]
"""Ends what a user who is deleted came in with: logins, keys."""


class Users:
    """Make, list, change and delete the users of an account."""

    def __init__(
        self, *, database: Database, outbox: Outbox, passwords: Passwords, end_credentials: Sequence[EndCredentials]
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._passwords = passwords
        self._end_credentials = end_credentials

    async def create(self, new: NewUser, *, account_id: str) -> User:
        """Make a user.

        Raises:
            UsernameTakenError: Somebody has the name.
            EmailTakenError: Somebody has the address.
            PasswordRefusedError: The password is too short or too long.
            AccountNotFoundError: The account is gone.
        """
        password_hash = await self._passwords.hash(new.password)
        async with self._database.transaction() as tx:
            await AccountRepository(tx).lock(account_id)
            return await self.insert(tx, new, account_id=account_id, password_hash=password_hash)

    async def get(self, user_id: str, *, account_id: str) -> User:
        """Read one of an account's users.

        Raises:
            UserNotFoundError: The account has none of this id.
        """
        async with self._database.reading() as database:
            return await UserRepository(database).get(user_id, account_id=account_id)

    async def list_for(self, account_id: str) -> list[User]:
        """List an account's users, oldest first."""
        async with self._database.reading() as database:
            return await UserRepository(database).list_of(account_id)

    async def find(self, username: str) -> User | None:
        """Find a user of the installation by name."""
        async with self._database.reading() as database:
            return await UserRepository(database).find_by_username(username)

    async def remove(self, user_id: str, *, by: Principal) -> None:
        """Delete a user with all logins and keys.

        Raises:
            OwnDeletionError: It is the caller.
            UserNotFoundError: The account has no such user.
            LastAdminError: The account would have no admin.
        """
        if user_id == by.user_id:
            raise OwnDeletionError
        async with self._database.transaction() as tx:
            await AccountRepository(tx).lock(by.account_id)
            user = await UserRepository(tx).get(user_id, account_id=by.account_id)
            await self._keep_an_admin(tx, user)
            await self.delete(tx, user)

    async def set_role(self, user_id: str, role: Role, *, by: Principal) -> User:
        """Make a user an admin, or one no longer.

        Raises:
            OwnDemotionError: It is the caller.
            UserNotFoundError: The account has no such user.
            LastAdminError: The account would have no admin.
        """
        if user_id == by.user_id and role is not Role.ADMIN:
            raise OwnDemotionError
        async with self._database.transaction() as tx:
            await AccountRepository(tx).lock(by.account_id)
            user = await UserRepository(tx).get(user_id, account_id=by.account_id)
            if user.role is role:
                return user
            await self._keep_an_admin(tx, user)
            user = await UserRepository(tx).set_role(user_id, role)
            await self._outbox.append(tx, facts.updated_user(user))
        return user

    async def set_email(self, user_id: str, email: str, *, by: Principal) -> User:
        """Give a user another address: the one that connection invites name.

        Raises:
            UserNotFoundError: The account has no such user.
            EmailTakenError: Somebody has the address.
        """
        async with self._database.transaction() as tx:
            await AccountRepository(tx).lock(by.account_id)
            await UserRepository(tx).get(user_id, account_id=by.account_id)
            user = await UserRepository(tx).set_email(user_id, email)
            await self._outbox.append(tx, facts.updated_user(user))
        return user

    async def verify(self, username: str, password: str) -> User | None:
        """Find the user who has this name and password, taking as long for a name that nobody has."""
        async with self._database.reading() as database:
            user = await UserRepository(database).find_by_username(username)
            known = None if user is None else await UserRepository(database).find_password_hash(user.id)
        verdict = await self._passwords.verify(known, password)
        if user is None or not verdict.is_right:
            return None
        if verdict.wants_rehash:
            fresh = await self._passwords.hash(password)
            async with self._database.transaction() as tx:
                await UserRepository(tx).set_password(user.id, fresh)
        return user

    async def hash_of_new(self, user_id: str, *, current: str, new: str) -> str:
        """Hash a user's next password after proof of the present one.

        Raises:
            WrongPasswordError: The present one is another.
            PasswordRefusedError: The next one is too short or too long.
        """
        async with self._database.reading() as database:
            known = await UserRepository(database).find_password_hash(user_id)
        if not (await self._passwords.verify(known, current)).is_right:
            raise WrongPasswordError
        return await self._passwords.hash(new)

    async def insert(self, tx: Transaction, new: NewUser, *, account_id: str, password_hash: str) -> User:
        """Add a user whose password is hashed already."""
        user = await UserRepository(tx).insert(
            new_id("user"), account_id=account_id, new=new, password_hash=password_hash
        )
        await self._outbox.append(tx, facts.created_user(user))
        return user

    async def delete(self, tx: Transaction, user: User) -> None:
        """Delete a user and end what the user came in with."""
        for end in self._end_credentials:
            await end(tx, user)
        await self._outbox.append(tx, facts.deleted_user(await UserRepository(tx).delete(user.id)))

    async def _keep_an_admin(self, tx: Transaction, user: User) -> None:
        if user.role is Role.ADMIN and not await UserRepository(tx).count_other_admins(
            user.id, account_id=user.account_id
        ):
            raise LastAdminError
