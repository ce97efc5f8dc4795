"""Signing in: by password, by being the first, by a one-time link, and once more for the web chat."""

from datetime import timedelta

from gateway.accounts.domain import NewAccount, User
from gateway.accounts.usecases.accounts import Accounts
from gateway.accounts.usecases.users import Users
from gateway.logins.domain import Kind, OpenedLink, OpenedLogin
from gateway.logins.errors import CredentialsMissingError, LinkInvalidError, LoginFailedError
from gateway.logins.repositories.links import LinkRepository
from gateway.logins.repositories.logins import LoginRepository
from gateway.logins.usecases.logins import Logins
from gateway.logins.usecases.throttle import Throttle
from shoal.database import Database
from shoal.identity import Principal
from shoal.ids import fingerprint, new_secret


class SignIns:
    """Open logins for whoever proves to be somebody."""

    def __init__(
        self,
        *,
        database: Database,
        accounts: Accounts,
        users: Users,
        logins: Logins,
        throttle: Throttle,
        link_ttl: timedelta,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._users = users
        self._logins = logins
        self._throttle = throttle
        self._link_ttl = link_ttl

    async def by_password(self, username: str, password: str, *, source: str) -> OpenedLogin:
        """Open a login for whoever knows the password.

        Raises:
            CredentialsMissingError: Name or password is empty.
            TooManyAttemptsError: Too many attempts failed, for this name or from this address.
            LoginFailedError: Nobody has this name and this password.
        """
        if not username or not password:
            raise CredentialsMissingError
        async with self._database.reading() as database:
            is_known = await LoginRepository(database).is_known_at(username, source)
        await self._throttle.attempt(username, source, is_known=is_known)
        user = await self._users.verify(username, password)
        if user is None:
            raise LoginFailedError
        await self._throttle.succeed(username, source, is_known=is_known)
        return await self._open(user, source)

    async def as_first(self, new: NewAccount, *, source: str) -> OpenedLogin:
        """Make the first account, and sign its admin in.

        Raises:
            SetupDoneError: There is an account already.
            PasswordRefusedError: The password is too short or too long.
        """
        opened = await self._accounts.set_up(new)
        return await self._open(opened.admin, source)

    async def by_link(self, code: str, *, source: str) -> OpenedLogin:
        """Open a login for whoever has a link's code, and use the link up.

        Raises:
            LinkInvalidError: It was used, or is too old, or never was.
        """
        async with self._database.transaction() as tx:
            user = await LinkRepository(tx).use(fingerprint(code))
            if user is None:
                raise LinkInvalidError
            return await self._logins.open(tx, user, Kind.SESSION, source=source)

    async def for_web_chat(self, *, by: Principal) -> OpenedLogin:
        """Open a login of the web chat for a user who is signed in."""
        user = await self._users.get(by.user_id, account_id=by.account_id)
        async with self._database.transaction() as tx:
            return await self._logins.open(tx, user, Kind.TOKEN, source=by.source, opened_by=by.credential_id)

    async def make_link(self, user: User) -> OpenedLink:
        """Make a link that signs a user in, once."""
        code = new_secret("")
        async with self._database.transaction() as tx:
            expires_at = await LinkRepository(tx).insert(fingerprint(code), user_id=user.id, ttl=self._link_ttl)
        return OpenedLink(code, expires_at)

    async def forget_old(self) -> None:
        """Delete links and failures that no longer count."""
        async with self._database.transaction() as tx:
            await LinkRepository(tx).delete_old()
        await self._throttle.forget_old()

    async def _open(self, user: User, source: str) -> OpenedLogin:
        async with self._database.transaction() as tx:
            return await self._logins.open(tx, user, Kind.SESSION, source=source)
