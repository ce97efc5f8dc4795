"""Staying signed in, and signing out."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from gateway.accounts.domain import User
from gateway.credentials import Resolved
from gateway.logins.domain import PREFIXES, VIA, EndedLogin, EndReason, Kind, Login, OpenedLogin, Terms
from gateway.logins.errors import LoginNotFoundError
from gateway.logins.repositories.logins import LoginRepository
from gateway.logins.usecases import facts
from shoal.database import Database, Transaction
from shoal.identity import Principal
from shoal.ids import fingerprint, new_id, new_secret
from shoal.outbox import Outbox


class Logins:
    """Open, list, look up and end logins."""

    def __init__(self, *, database: Database, outbox: Outbox, terms: Mapping[Kind, Terms]) -> None:
        self._database = database
        self._outbox = outbox
        self._terms = terms

    async def open(
        self, tx: Transaction, user: User, kind: Kind, *, source: str, opened_by: str | None = None
    ) -> OpenedLogin:
        """Open a login for a user; one that another login opened ends when that one is signed out."""
        secret, terms = new_secret(PREFIXES[kind]), self._terms[kind]
        login = await LoginRepository(tx).insert(
            new_id("login"),
            user_id=user.id,
            kind=kind,
            secret_hash=fingerprint(secret),
            source=source,
            terms=terms,
            opened_by=opened_by,
        )
        return OpenedLogin(login, secret, user, lasts=terms.total or terms.idle)

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
            via=VIA[owner.kind],
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

    async def is_good(self, account_id: str, login_id: str) -> bool:
        """Tell whether an account has a login of this id that is good."""
        async with self._database.reading() as database:
            return await LoginRepository(database).is_good(account_id, login_id)

    async def end(self, login_id: str, *, by: Principal) -> None:
        """End one of the caller's logins, and the tokens that it opened.

        Raises:
            LoginNotFoundError: The caller has none of this id.
        """
        async with self._database.transaction() as tx:
            ended = await LoginRepository(tx).end(login_id, EndReason.SIGNED_OUT, user_id=by.user_id)
            if login_id not in {login.id for login in ended}:
                raise LoginNotFoundError
            await self._tell(tx, ended)

    async def sign_out(self, *, secrets: list[str], by: Principal) -> None:
        """End the caller's login with the tokens that it opened, and those of these secrets that are the caller's."""
        async with self._database.transaction() as tx:
            repository = LoginRepository(tx)
            ids = {by.credential_id} | {await repository.find_id(fingerprint(secret)) or "" for secret in secrets}
            for login_id in sorted(ids - {""}):
                await self._tell(tx, await repository.end(login_id, EndReason.SIGNED_OUT, user_id=by.user_id))

    async def end_all(self, tx: Transaction, user: User) -> None:
        """End every login of a user who is being deleted."""
        await self.end_others(tx, user.id, EndReason.USER_DELETED)

    async def end_others(self, tx: Transaction, user_id: str, reason: EndReason, *, but: str = "") -> None:
        """End every login of a user but one."""
        await self._tell(tx, await LoginRepository(tx).end_all(user_id, reason, but=but))

    async def expire(self) -> None:
        """End logins whose time is over, so that the sockets they opened are closed."""
        async with self._database.transaction() as tx:
            await self._tell(tx, await LoginRepository(tx).end_expired())

    async def forget_old(self) -> None:
        """Delete what nobody asks for any more."""
        async with self._database.transaction() as tx:
            await LoginRepository(tx).delete_old()

    async def _tell(self, tx: Transaction, ended: Sequence[EndedLogin]) -> None:
        for login in ended:
            await self._outbox.append(tx, facts.ended(login))
