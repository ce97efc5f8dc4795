"""Decisions about logins, each with its transaction."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from gateway.accounts.domain import NewAccount, User
from gateway.accounts.repositories import AccountRepository, UserRepository
from gateway.accounts.usecases import Accounts, Users
from gateway.credentials import Resolved
from gateway.logins.domain import PREFIXES, EndedLogin, EndReason, Kind, Login, OpenedLink, OpenedLogin, Terms
from gateway.logins.errors import CredentialsMissingError, LinkInvalidError, LoginFailedError, LoginNotFoundError
from gateway.logins.repositories import LinkRepository, LoginRepository
from gateway.logins.throttle import Throttle
from gateway.passwords import Passwords
from shoal.database import Database, Transaction
from shoal.identity import Principal, Via
from shoal.ids import fingerprint, new_id, new_secret
from shoal.outbox import Outbox
from shoal_events import LoginEnded


class Logins:
    """Sign in, stay signed in, sign out."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        throttle: Throttle,
        terms: Mapping[Kind, Terms],
        link_ttl: timedelta,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._throttle = throttle
        self._terms = terms
        self._link_ttl = link_ttl

    async def sign_in(self, username: str, password: str, *, users: Users, source: str) -> OpenedLogin:
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
        user = await users.verify(username, password)
        if user is None:
            raise LoginFailedError
        await self._throttle.succeed(username, source)
        return await self.open(user, Kind.SESSION, source=source)

    async def set_up(self, new: NewAccount, *, accounts: Accounts, source: str) -> OpenedLogin:
        """Make the first account, and sign its admin in.

        Raises:
            SetupDoneError: There is an account already.
            PasswordRefusedError: The password is too short or too long.
        """
        opened = await accounts.set_up(new)
        return await self.open(opened.admin, Kind.SESSION, source=source)

    async def open(self, user: User, kind: Kind, *, source: str) -> OpenedLogin:
        """Open a login for a user."""
        secret = new_secret(PREFIXES[kind])
        async with self._database.transaction() as tx:
            login = await self._insert(tx, user, kind, secret, source)
        return self._opened(login, secret, user)

    async def open_token(self, *, users: Users, by: Principal) -> OpenedLogin:
        """Open a login of the web chat for a user who is signed in."""
        user = await users.get(by.user_id, account_id=by.account_id)
        return await self.open(user, Kind.TOKEN, source=by.source)

    async def make_link(self, user: User) -> OpenedLink:
        """Make a link that signs a user in, once."""
        code = new_secret("")
        async with self._database.transaction() as tx:
            expires_at = await LinkRepository(tx).insert(fingerprint(code), user_id=user.id, ttl=self._link_ttl)
        return OpenedLink(code, expires_at)

    async def follow_link(self, code: str, *, source: str) -> OpenedLogin:
        """Open a login for whoever has a link's code, and use the link up.

        Raises:
            LinkInvalidError: It was used, or is too old, or never was.
        """
        secret = new_secret(PREFIXES[Kind.SESSION])
        async with self._database.transaction() as tx:
            user = await LinkRepository(tx).use(fingerprint(code))
            if user is None:
                raise LinkInvalidError
            login = await self._insert(tx, user, Kind.SESSION, secret, source)
        return self._opened(login, secret, user)

    async def list_for(self, by: Principal) -> list[Login]:
        """List the caller's logins, newest first."""
        async with self._database.reading() as database:
            return await LoginRepository(database).list_of(by.user_id)

    async def expiry_of(self, login_id: str) -> datetime | None:
        """Tell when a login ends if it is not used; None when it is none."""
        async with self._database.reading() as database:
            return await LoginRepository(database).find_expiry(login_id)

    async def resolve(self, secret: str) -> Resolved | None:
        """Tell who came with this secret; noticing it lets the login last longer."""
        async with self._database.reading() as database:
            repository = LoginRepository(database)
            owner = await repository.find_owner(fingerprint(secret))
            if owner is None:
                return None
            if owner.is_stale:
                await repository.touch(owner.login_id, idle=self._terms[owner.kind].idle)
        principal = Principal(
            via=Via.SESSION,
            account_id=owner.account_id,
            user_id=owner.user_id,
            username=owner.username,
            role=owner.role,
            credential_id=owner.login_id,
        )
        return Resolved(principal, good_for_s=owner.expires_in_s)

    async def list_good(self, login_ids: list[str]) -> list[str]:
        """Choose the logins that are good."""
        async with self._database.reading() as database:
            return await LoginRepository(database).list_good(login_ids)

    async def end(self, login_id: str, *, by: Principal) -> None:
        """End one of the caller's logins.

        Raises:
            LoginNotFoundError: The caller has none of this id.
        """
        async with self._database.transaction() as tx:
            ended = await LoginRepository(tx).end(login_id, EndReason.SIGNED_OUT, user_id=by.user_id)
            if ended is None:
                raise LoginNotFoundError
            await self._tell(tx, [ended])

    async def sign_out(self, *, secrets: list[str], by: Principal) -> None:
        """End the caller's login, and those of these secrets that are the caller's too."""
        async with self._database.transaction() as tx:
            repository = LoginRepository(tx)
            ids = {by.credential_id} | {await repository.find_id(fingerprint(secret)) or "" for secret in secrets}
            for login_id in sorted(ids - {""}):
                ended = await repository.end(login_id, EndReason.SIGNED_OUT, user_id=by.user_id)
                await self._tell(tx, [] if ended is None else [ended])

    async def end_all(self, tx: Transaction, user: User) -> None:
        """End every login of a user who is being deleted."""
        await self._tell(tx, await LoginRepository(tx).end_all(user.id, EndReason.USER_DELETED))

    async def expire(self) -> None:
        """End logins whose time is over, so that the sockets they opened are closed."""
        async with self._database.transaction() as tx:
            await self._tell(tx, await LoginRepository(tx).end_expired())

    async def forget_old(self) -> None:
        """Delete what nobody asks for any more."""
        async with self._database.transaction() as tx:
            await LoginRepository(tx).delete_old()
        await self._throttle.forget_old()

    async def _insert(self, tx: Transaction, user: User, kind: Kind, secret: str, source: str) -> Login:
        return await LoginRepository(tx).insert(
            new_id("login"),
            user_id=user.id,
            kind=kind,
            secret_hash=fingerprint(secret),
            source=source,
            terms=self._terms[kind],
        )

    def _opened(self, login: Login, secret: str, user: User) -> OpenedLogin:
        terms = self._terms[login.kind]
        return OpenedLogin(login, secret, user, lasts=terms.total or terms.idle)

    async def _tell(self, tx: Transaction, ended: list[EndedLogin]) -> None:
        await tell_ended(tx, self._outbox, ended)


class PasswordChanges:
    """Change passwords; whoever was signed in with the old one is signed out."""

    def __init__(self, *, database: Database, outbox: Outbox, passwords: Passwords, users: Users) -> None:
        self._database = database
        self._outbox = outbox
        self._passwords = passwords
        self._users = users

    async def change(self, current: str, new: str, *, by: Principal) -> None:
        """Change the caller's own password; every other login of the caller ends.

        Raises:
            WrongPasswordError: The present one is another.
            PasswordRefusedError: The new one is too short or too long.
        """
        password_hash = await self._users.hash_of_new(by.user_id, current=current, new=new)
        async with self._database.transaction() as tx:
            await UserRepository(tx).set_password(by.user_id, password_hash)
            ended = await LoginRepository(tx).end_all(by.user_id, EndReason.PASSWORD_CHANGED, but=by.credential_id)
            await tell_ended(tx, self._outbox, ended)

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
            ended = await LoginRepository(tx).end_all(user.id, EndReason.PASSWORD_RESET)
            await tell_ended(tx, self._outbox, ended)


async def tell_ended(tx: Transaction, outbox: Outbox, ended: list[EndedLogin]) -> None:
    """Tell the others which logins ended."""
    for login in ended:
        await outbox.append(
            tx,
            LoginEnded(
                login_id=login.id,
                account_id=login.account_id,
                user_id=login.person_id,
                reason=login.end_reason,
            ),
        )
