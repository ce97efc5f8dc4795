"""Making, listing and revoking API keys."""

from collections.abc import Mapping, Sequence

from gateway.accounts.domain import User
from gateway.accounts.repositories import AccountRepository
from gateway.credentials import Resolved
from gateway.keys.domain import PREFIXES, ApiKey, Kind, OpenedKey, Plan
from gateway.keys.errors import KeyLimitReachedError, KeyNotFoundError, SelfRevokeError
from gateway.keys.repositories import KeyRepository
from gateway.keys.usecases import facts
from shoal.database import Database, Transaction
from shoal.identity import Principal, Via
from shoal.ids import fingerprint, new_id, new_secret
from shoal.outbox import Outbox

NEVER_EXPIRES_S = float("inf")


class Keys:
    """Make, list and revoke API keys: a user's own, for admins the whole account's."""

    def __init__(self, *, database: Database, outbox: Outbox, plans: Mapping[str, Plan]) -> None:
        self._database = database
        self._outbox = outbox
        self._plans = plans

    async def create(self, kind: Kind, name: str, *, by: Principal) -> OpenedKey:
        """Make a key of the caller's.

        Raises:
            KeyLimitReachedError: The account's plan allows no more.
        """
        secret = new_secret(PREFIXES[kind])
        async with self._database.transaction() as tx:
            account = await AccountRepository(tx).lock(by.account_id)
            limit = self._plans.get(account.plan, Plan()).max_api_keys
            if limit is not None and await KeyRepository(tx).count(account.id) >= limit:
                raise KeyLimitReachedError
            key = await KeyRepository(tx).insert(
                new_id("key"),
                user_id=by.user_id,
                account_id=account.id,
                kind=kind,
                name=name.strip(),
                secret_hash=fingerprint(secret),
                hint=f"{PREFIXES[kind]}…{secret[-4:]}",
            )
        return OpenedKey(key, secret)

    async def list_for(self, by: Principal, *, kinds: Sequence[Kind] = tuple(Kind)) -> list[ApiKey]:
        """List keys, oldest first."""
        async with self._database.reading() as database:
            return await KeyRepository(database).list_of(by.account_id, user_id=_whose(by), kinds=list(kinds))

    async def revoke(self, key_id: str, *, by: Principal) -> None:
        """Revoke a key; whatever came in with it is cut off within five seconds.

        Raises:
            SelfRevokeError: The caller came in with it.
            KeyNotFoundError: The caller may revoke no such key.
        """
        if key_id == by.credential_id:
            raise SelfRevokeError
        async with self._database.transaction() as tx:
            revoked = await KeyRepository(tx).revoke(key_id, account_id=by.account_id, user_id=_whose(by))
            if revoked is None:
                raise KeyNotFoundError
            await self._tell(tx, revoked)

    async def revoke_all(self, tx: Transaction, user: User) -> None:
        """Revoke every key of a user who is being deleted."""
        for revoked in await KeyRepository(tx).revoke_all(user.id):
            await self._tell(tx, revoked)

    async def resolve(self, secret: str) -> Resolved | None:
        """Tell who came with this key."""
        async with self._database.reading() as database:
            repository = KeyRepository(database)
            owner = await repository.find_owner(fingerprint(secret))
            if owner is None:
                return None
            if owner.is_stale:
                await repository.touch(owner.key_id)
        principal = Principal(
            via=Via.API_KEY,
            account_id=owner.account_id,
            user_id=owner.user_id,
            username=owner.username,
            role=owner.role,
            credential_id=owner.key_id,
        )
        return Resolved(principal, good_for_s=NEVER_EXPIRES_S)

    async def list_good(self, key_ids: list[str]) -> list[str]:
        """Choose the keys that are good."""
        async with self._database.reading() as database:
            return await KeyRepository(database).list_good(key_ids)

    async def is_good(self, account_id: str, key_id: str) -> bool:
        """Tell whether an account has a key of this id that is good."""
        async with self._database.reading() as database:
            return await KeyRepository(database).is_good(account_id, key_id)

    async def _tell(self, tx: Transaction, key: ApiKey) -> None:
        await self._outbox.append(tx, facts.revoked(key))


def _whose(by: Principal) -> str | None:
    """Admins act on every key of their account, others on their own."""
    return None if by.is_admin else by.user_id
