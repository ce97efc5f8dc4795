"""Decisions about dashboard pairings, each with its transaction."""

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
    Presence,
    PresenceKey,
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
from pairing.dashboard.repositories import PairingRepository, PresenceRepository
from shoal.copies import ExportedFact, exported
from shoal.database import Database, Transaction
from shoal.http.pagination import Page
from shoal.identity import Principal, Via
from shoal.ids import fingerprint, new_id, new_secret
from shoal.outbox import Outbox
from shoal_events import (
    AgentOffline,
    AgentOnline,
    PairingConfirmed,
    PairingDeleted,
    PairingOpened,
    PairingRenamed,
    PairingTokenReissued,
)

KEEP_DAYS = 14
"""Twice the time that facts are kept."""
BEGUN, ENDED = 1, 2
"""Versions of presences in facts that tell none."""


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
            await self._outbox.append(tx, confirmed_fact(pairing))
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
            await self._outbox.append(
                tx,
                PairingRenamed(
                    pairing_id=pairing.id,
                    account_id=pairing.account_id,
                    name=pairing.name,
                    version=pairing.version,
                ),
            )
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
            await self._outbox.append(
                tx,
                PairingTokenReissued(
                    pairing_id=pairing.id,
                    account_id=pairing.account_id,
                    agent_id=pairing.agent_id or "",
                    telemetry_token_sha256=fingerprint(telemetry_token).hex(),
                    version=pairing.version,
                ),
            )
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
        facts = [
            exported(
                confirmed_fact(pairing) if pairing.status is Status.ACTIVE else ended_fact(pairing, EndReason.DELETED)
            )
            for pairing in pairings
        ]
        return Page(facts, next=pairings[-1].id if len(pairings) == limit else None)

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
        await self._outbox.append(
            tx,
            PairingOpened(
                pairing_id=pairing.id,
                account_id=pairing.account_id,
                user_id=pairing.user_id,
                name=pairing.name,
                expires_at=pairing.expires_at,
                version=pairing.version,
            ),
        )
        return pairing

    async def _why_not(self, repository: PairingRepository, token: str) -> InvalidTokenError | TokenExpiredError:
        return TokenExpiredError() if await repository.is_expired(fingerprint(token)) else InvalidTokenError()

    async def _end(self, tx: Transaction, pairing: Pairing, reason: EndReason) -> None:
        ended = await PairingRepository(tx).end(pairing.id, reason)
        await self._outbox.append(tx, ended_fact(ended, reason))


class Presences:
    """Which agents are online, as telemetry-ingest tells; a connection's end applies to that connection only."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def came_online(self, tx: Transaction, event: AgentOnline) -> None:
        """Note a connection, unless its end was heard of before."""
        await PresenceRepository(tx).put(
            Presence(
                account_id=event.account_id,
                agent_id=event.agent_id,
                epoch=event.epoch,
                pairing_id=event.pairing_id,
                is_online=True,
                at=event.at,
                version=event.version or BEGUN,
            )
        )

    async def went_offline(self, tx: Transaction, event: AgentOffline) -> None:
        """Note a connection's end, and when the agent was last seen."""
        repository = PresenceRepository(tx)
        await repository.put(
            Presence(
                account_id=event.account_id,
                agent_id=event.agent_id,
                epoch=event.epoch,
                pairing_id=event.pairing_id,
                is_online=False,
                at=event.at,
                version=event.version or ENDED,
            )
        )
        await repository.mark_last_seen(event.account_id, event.agent_id, pairing_id=event.pairing_id, at=event.at)

    async def known(self, tx: Transaction) -> list[PresenceKey]:
        """List the connections that have not ended."""
        return await PresenceRepository(tx).list_online()

    async def vanished(self, tx: Transaction, key: PresenceKey) -> None:
        """Note the end of a connection that its owner does not remember; when that was, nobody knows."""
        await PresenceRepository(tx).forget(key)

    async def forget_ended(self) -> None:
        """Forget connections that ended long ago."""
        async with self._database.transaction() as tx:
            await PresenceRepository(tx).forget_ended(KEEP_DAYS)


def presence_of(event: AgentOnline | AgentOffline) -> PresenceKey:
    """Tell of which connection a fact speaks."""
    return PresenceKey(account_id=event.account_id, agent_id=event.agent_id, epoch=event.epoch)


def confirmed_fact(pairing: Pairing) -> PairingConfirmed:
    """Tell a confirmed pairing as the fact that made it so."""
    return PairingConfirmed(
        pairing_id=pairing.id,
        account_id=pairing.account_id,
        user_id=pairing.user_id,
        name=pairing.name,
        agent_id=pairing.agent_id or "",
        handle=pairing.handle,
        telemetry_token_sha256=(pairing.telemetry_token_hash or b"").hex(),
        confirmed_at=pairing.confirmed_at or pairing.created_at,
        version=pairing.version,
    )


def ended_fact(pairing: Pairing, reason: EndReason) -> PairingDeleted:
    """Tell an ended pairing as the fact that ended it."""
    return PairingDeleted(
        pairing_id=pairing.id,
        account_id=pairing.account_id,
        agent_id=pairing.agent_id,
        reason=reason,
        version=pairing.version,
    )
