"""Opening, confirming, changing and ending pairings."""

from datetime import timedelta
from typing import Any

from pairing.dashboard.domain import (
    TELEMETRY_TOKEN_PREFIX,
    TOKEN_PREFIX,
    ConfirmedPairing,
    EndReason,
    HeldPairing,
    HistoryEntry,
    OpenedPairing,
    Pairing,
    Status,
    handle_of,
    websocket_url,
)
from pairing.dashboard.errors import (
    CredentialUnknownError,
    InvalidTokenError,
    NotConfirmedError,
    PairingNotFoundError,
    TokenExpiredError,
)
from pairing.dashboard.repositories.pairings import PairingRepository
from pairing.dashboard.usecases import facts
from shoal.copies import ExportedFact, exported
from shoal.database import Database, Transaction
from shoal.http.pagination import Page
from shoal.identity import Principal, Via
from shoal.ids import fingerprint, new_id, new_secret
from shoal.outbox import Outbox


class Pairings:
    """Open, confirm, change and end pairings between an account and its agents."""

    def __init__(self, *, database: Database, outbox: Outbox, token_ttl: timedelta, public_url: str) -> None:
        self._database = database
        self._outbox = outbox
        self._token_ttl = token_ttl
        self._websocket_url = websocket_url(public_url)

    async def open(self, name: str, *, by: Principal) -> OpenedPairing:
        """Make a pending pairing and the token that confirms it."""
        token = new_secret(TOKEN_PREFIX)
        async with self._database.transaction() as tx:
            pairing = await self._open(tx, new_id("pair"), by.account_id, by.user_id, name, token)
            await PairingRepository(tx).record(pairing.id, "opened", actor=by.subject, source=by.source)
        return OpenedPairing(pairing, token)

    async def hold(self, pairing_id: str, *, account_id: str, user_id: str, name: str) -> HeldPairing:
        """Open a pairing under a chosen id, or give one that is still pending a new token.

        Raises:
            PairingNotFoundError: This pairing has ended, or is another account's.
        """
        token = new_secret(TOKEN_PREFIX)
        async with self._database.transaction() as tx:
            repository = PairingRepository(tx)
            found = await repository.lock_any(pairing_id)
            if found is None:
                return HeldPairing(await self._open(tx, pairing_id, account_id, user_id, name, token), token)
            if found.account_id != account_id or found.status is Status.DELETED:
                raise PairingNotFoundError
            if found.status is Status.ACTIVE:
                return HeldPairing(found, None)
            renewed = await repository.renew(pairing_id, token_hash=fingerprint(token), ttl=self._token_ttl)
            return HeldPairing(renewed, token)

    async def confirm(
        self, token: str, *, agent_id: str, handle: str | None, info: dict[str, Any] | None, source: str
    ) -> ConfirmedPairing:
        """Bind an agent to the pairing that the token opened; of many at once, exactly one succeeds.

        Raises:
            InvalidTokenError: No pending pairing has this token.
            TokenExpiredError: The token is older than its lifetime by the database's clock.
        """
        telemetry_token = new_secret(TELEMETRY_TOKEN_PREFIX)
        async with self._database.transaction() as tx:
            repository = PairingRepository(tx)
            pairing = await repository.confirm(
                fingerprint(token),
                agent_id=agent_id,
                handle=handle or handle_of(agent_id),
                info=info,
                telemetry_token_hash=fingerprint(telemetry_token),
            )
            if pairing is None:
                raise await self._why_not(repository, token)
            await repository.record(pairing.id, "confirmed", actor=f"agent:{agent_id}", source=source)
            await self._outbox.append(tx, facts.confirmed(pairing))
        return ConfirmedPairing(pairing, telemetry_token, self._websocket_url)

    async def list_for(self, account_id: str) -> list[Pairing]:
        """List an account's pending and confirmed pairings, oldest first."""
        async with self._database.reading() as database:
            return await PairingRepository(database).list_of(account_id)

    async def get(self, pairing_id: str, *, account_id: str) -> Pairing:
        """Read one pairing.

        Raises:
            PairingNotFoundError: The account has no such pairing.
        """
        async with self._database.reading() as database:
            return await PairingRepository(database).get(pairing_id, account_id=account_id)

    async def history(self, pairing_id: str, *, account_id: str) -> list[HistoryEntry]:
        """Tell what was done to a pairing, oldest first.

        Raises:
            PairingNotFoundError: The account has no such pairing.
        """
        async with self._database.reading() as database:
            repository = PairingRepository(database)
            await repository.get(pairing_id, account_id=account_id)
            return await repository.history(pairing_id)

    async def rename(self, pairing_id: str, name: str, *, by: Principal) -> Pairing:
        """Give a pairing another name.

        Raises:
            PairingNotFoundError: The account has no such pairing.
        """
        async with self._database.transaction() as tx:
            repository = PairingRepository(tx)
            locked = await repository.lock(pairing_id, account_id=by.account_id)
            pairing = await repository.rename(locked.id, name.strip())
            await repository.record(pairing.id, "renamed", actor=by.subject, source=by.source)
            await self._outbox.append(tx, facts.renamed(pairing))
            return await repository.get(pairing_id, account_id=by.account_id)

    async def reissue_token(self, pairing_id: str, *, by: Principal) -> str:
        """Make a new telemetry token, which ends the old one.

        Raises:
            PairingNotFoundError: The account has no such pairing.
            NotConfirmedError: There is no agent yet that could have a token.
        """
        telemetry_token = new_secret(TELEMETRY_TOKEN_PREFIX)
        async with self._database.transaction() as tx:
            repository = PairingRepository(tx)
            locked = await repository.lock(pairing_id, account_id=by.account_id)
            if locked.status is not Status.ACTIVE:
                raise NotConfirmedError
            pairing = await repository.replace_token(locked.id, fingerprint(telemetry_token))
            await repository.record(pairing.id, "token_reissued", actor=by.subject, source=by.source)
            await self._outbox.append(tx, facts.token_reissued(pairing))
        return telemetry_token

    async def remove(self, pairing_id: str, *, by: Principal) -> None:
        """End a pairing; its agent is cut off within five seconds.

        Raises:
            PairingNotFoundError: The account has no such pairing.
        """
        async with self._database.transaction() as tx:
            repository = PairingRepository(tx)
            locked = await repository.lock(pairing_id, account_id=by.account_id)
            await repository.record(locked.id, "deleted", actor=by.subject, source=by.source)
            await self._end(tx, locked, EndReason.DELETED)

    async def end_held(self, tx: Transaction, pairing_id: str, *, account_id: str) -> None:
        """End the pairing of an agent that another service ran and no longer does."""
        found = await PairingRepository(tx).lock_any(pairing_id)
        if found is not None and found.account_id == account_id and found.status is not Status.DELETED:
            await self._end(tx, found, EndReason.DELETED)

    async def remove_all(self, tx: Transaction, account_id: str) -> None:
        """End every pairing of an account that is no more."""
        for pairing in await PairingRepository(tx).lock_all(account_id):
            await self._end(tx, pairing, EndReason.ACCOUNT_DELETED)

    async def expire(self) -> None:
        """End pending pairings whose token can no longer be redeemed."""
        async with self._database.transaction() as tx:
            for pairing in await PairingRepository(tx).lock_expired():
                await self._end(tx, pairing, EndReason.EXPIRED)

    async def resolve(self, credential: str) -> Principal:
        """Tell whose telemetry token this is.

        Raises:
            CredentialUnknownError: It is none, or its pairing has ended.
        """
        async with self._database.reading() as database:
            pairing = await PairingRepository(database).find_by_telemetry_token(fingerprint(credential))
        if pairing is None:
            raise CredentialUnknownError
        return Principal(
            via=Via.TELEMETRY_TOKEN,
            account_id=pairing.account_id,
            user_id=pairing.user_id,
            agent_id=pairing.agent_id or "",
            pairing_id=pairing.id,
            credential_id=pairing.id,
        )

    async def export(self, after: str, limit: int) -> Page[ExportedFact]:
        """Tell every pairing that was ever confirmed as a fact, in the order of ids, for copies elsewhere."""
        async with self._database.reading() as database:
            pairings = await PairingRepository(database).export(after, limit)
        told = [exported(facts.as_it_is(pairing)) for pairing in pairings]
        return Page(told, next=pairings[-1].id if len(pairings) == limit else None)

    async def _open(
        self, tx: Transaction, pairing_id: str, account_id: str, user_id: str, name: str, token: str
    ) -> Pairing:
        pairing = await PairingRepository(tx).insert(
            pairing_id,
            account_id=account_id,
            user_id=user_id,
            name=name.strip(),
            token_hash=fingerprint(token),
            ttl=self._token_ttl,
        )
        await self._outbox.append(tx, facts.opened(pairing))
        return pairing

    async def _why_not(self, repository: PairingRepository, token: str) -> InvalidTokenError | TokenExpiredError:
        return TokenExpiredError() if await repository.is_expired(fingerprint(token)) else InvalidTokenError()

    async def _end(self, tx: Transaction, pairing: Pairing, reason: EndReason) -> None:
        ended = await PairingRepository(tx).end(pairing.id, reason)
        await self._outbox.append(tx, facts.ended(ended, reason))
