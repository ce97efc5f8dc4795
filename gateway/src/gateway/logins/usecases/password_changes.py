"""Changing passwords."""

from gateway.accounts.repositories import AccountRepository, UserRepository
from gateway.accounts.usecases.users import Users
from gateway.logins.domain import EndReason
from gateway.logins.usecases.logins import Logins
from gateway.passwords import Passwords
from shoal.database import Database
from shoal.identity import Principal


class PasswordChanges:
    """Change passwords; whoever was signed in with the old one is signed out."""

    def __init__(self, *, database: Database, passwords: Passwords, users: Users, logins: Logins) -> None:
        self._database = database
        self._passwords = passwords
        self._users = users
        self._logins = logins

    async def change(self, current: str, new: str, *, by: Principal) -> None:
        """Change the caller's own password; every other login of the caller ends.

        Raises:
            WrongPasswordError: The present one is another.
            PasswordRefusedError: The new one is too short or too long.
        """
        password_hash = await self._users.hash_of_new(by.user_id, current=current, new=new)
        async with self._database.transaction() as tx:
            await UserRepository(tx).set_password(by.user_id, password_hash)
            await self._logins.end_others(tx, by.user_id, EndReason.PASSWORD_CHANGED, but=by.credential_id)

    async def reset(self, user_id: str, password: str, *, account_id: str) -> None:
        """Give one of an account's users a new password; every login of that user ends.

        Raises:
            UserNotFoundError: The account has no such user.
            PasswordRefusedError: The new one is too short or too long.
        """
        password_hash = await self._passwords.hash(password)
        async with self._database.transaction() as tx:
            await AccountRepository(tx).lock(account_id)
            user = await UserRepository(tx).get(user_id, account_id=account_id)
            await UserRepository(tx).set_password(user.id, password_hash)
            await self._logins.end_others(tx, user.id, EndReason.PASSWORD_RESET)
