"""Connections: invite, answer, end; and blocks."""

from collections.abc import Sequence
from uuid import UUID

from pairing.connections.domain.agents import Agent
from pairing.connections.domain.connections import (
    Blocked,
    Connection,
    ConnectionEnd,
    InviteEnd,
    ListedBlock,
    ListedConnection,
    Shown,
)
from pairing.connections.domain.pairings import AgentPairingEnd
from pairing.connections.domain.plans import Plans, reaches
from pairing.connections.errors import (
    AlreadyConnectedError,
    BlockedError,
    ConnectionNotActiveError,
    InviteLimitError,
    InvitePendingError,
    NoSuchBlockError,
    PlanLimitReachedError,
    SelfConnectionError,
)
from pairing.connections.repositories.agents import AgentRepository
from pairing.connections.repositories.blocks import BlockRepository
from pairing.connections.repositories.connections import ConnectionRepository
from pairing.connections.repositories.people import PeopleRepository
from pairing.connections.usecases.facts import connections as facts
from pairing.connections.usecases.pairings import AgentPairings
from shoal.clock import Clock
from shoal.database import Database, Transaction
from shoal.identity import Principal
from shoal.outbox import Outbox

_PAIRINGS_END = {
    ConnectionEnd.DELETED: AgentPairingEnd.CONNECTION_REVOKED,
    ConnectionEnd.BLOCKED: AgentPairingEnd.BLOCKED,
    ConnectionEnd.ACCOUNT_DELETED: AgentPairingEnd.ACCOUNT_DELETED,
}


class Connections:
    """Connect accounts that want it, both of them."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        pairings: AgentPairings,
        plans: Plans,
        clock: Clock,
        invites_per_hour: int,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._pairings = pairings
        self._plans = plans
        self._clock = clock
        self._invites_per_hour = invites_per_hour

    async def invite(self, email: str, message: str | None, *, by: Principal) -> Connection:
        """Invite whoever has an address, now or one day; what is answered does not tell whether somebody does.

        What can be refused is looked at in the order below.

        Raises:
            SelfConnectionError: It is the address of a user of the caller's own account.
            BlockedError: One of the two accounts has blocked the other.
            AlreadyConnectedError: The two are connected.
            InvitePendingError: An invite from one to the other waits.
            PlanLimitReachedError: The account has as many connections and invites as its plan allows.
            InviteLimitError: The account has sent as many invites as an hour allows.
        """
        async with self._database.transaction() as tx:
            people = PeopleRepository(tx)
            await people.lock_address(email)
            invitee = await people.find_account_of(email)
            if invitee == by.account_id:
                raise SelfConnectionError
            await people.lock_accounts(by.account_id, invitee)
            if invitee is not None:
                await self._check_between(tx, by.account_id, invitee)
            if await ConnectionRepository(tx).has_waiting(by.account_id, email):
                raise InvitePendingError
            await self._check_room(tx, by.account_id)
            await self._check_pace(tx, by.account_id)
            connection = await ConnectionRepository(tx).insert(
                inviter=by.account_id, invitee=invitee, email=email, message=message
            )
            await self._outbox.append(tx, facts.invited(connection))
        return connection

    async def accept(self, connection_id: UUID, *, by: Principal) -> Connection:
        """Accept an invite.

        Raises:
            NoSuchConnectionError: The account is not a party to it.
            OwnInviteError: The account sent it itself.
            AlreadyProcessedError: It is no invite any more.
            PlanLimitReachedError: The account has as many connections and invites as its plan allows.
        """
        async with self._database.transaction() as tx:
            await PeopleRepository(tx).lock_accounts(by.account_id)
            repository = ConnectionRepository(tx)
            before = await repository.lock(connection_id, account_id=by.account_id)
            accepted = before.accepted(by.account_id, at=self._clock.now())
            await self._check_room(tx, by.account_id)
            await repository.update(accepted)
            await self._outbox.append(tx, facts.accepted(accepted))
        return accepted

    async def reject(self, connection_id: UUID, *, by: Principal) -> None:
        """Reject an invite, which deletes it; the inviter is not told.

        Raises:
            NoSuchConnectionError: The account is not a party to it.
            OwnInviteError: The account sent it itself.
            AlreadyProcessedError: It is no invite any more.
        """
        async with self._database.transaction() as tx:
            repository = ConnectionRepository(tx)
            before = await repository.lock(connection_id, account_id=by.account_id)
            rejected = before.rejected(by.account_id)
            await repository.delete(rejected.id)
            await self._outbox.append(tx, facts.rejected(rejected, InviteEnd.REJECTED))

    async def remove(self, connection_id: UUID, *, by: Principal) -> int:
        """End a connection with all pairings under it, or take an invite back; tells how many pairings ended.

        Raises:
            NoSuchConnectionError: The account is not a party to it.
            ConnectionAlreadyRevokedError: It has ended.
        """
        async with self._database.transaction() as tx:
            connection = await ConnectionRepository(tx).lock(connection_id, account_id=by.account_id)
            return await self._end(tx, connection, ConnectionEnd.DELETED)

    async def block(self, connection_id: UUID, *, by: Principal) -> Blocked:
        """Block the other account: what connects the two ends, and neither can invite the other.

        Raises:
            NoSuchConnectionError: The account is not a party to it.
            NobodyToBlockError: It is an invite of the account's own that nobody has answered.
        """
        async with self._database.transaction() as tx:
            repository = ConnectionRepository(tx)
            known = await repository.get(connection_id, account_id=by.account_id)
            await PeopleRepository(tx).lock_accounts(by.account_id, known.other_than(by.account_id))
            other = (await repository.lock(connection_id, account_id=by.account_id)).to_block(by.account_id)
            ended = 0
            for connection in await repository.lock_between(by.account_id, other):
                ended += await self._end(tx, connection, ConnectionEnd.BLOCKED)
            block = await BlockRepository(tx).insert(
                account_id=by.account_id, blocked=other, connection_id=connection_id
            )
            if block is not None:
                await self._outbox.append(tx, facts.blocked(block))
        return Blocked(other, ended)

    async def list_blocks(self, account_id: str) -> list[ListedBlock]:
        """List whom an account has blocked, newest first."""
        async with self._database.reading() as database:
            return await BlockRepository(database).list_of(account_id)

    async def unblock(self, block_id: UUID, *, by: Principal) -> str:
        """Lift a block, which restores nothing; names the account that was blocked.

        Raises:
            NoSuchBlockError: The account has no such block.
        """
        async with self._database.transaction() as tx:
            block = await BlockRepository(tx).delete(block_id, account_id=by.account_id)
            if block is None:
                raise NoSuchBlockError
            await self._outbox.append(tx, facts.unblocked(block))
        return block.blocked_account_id

    async def list_for(self, account_id: str, shown: Shown) -> list[ListedConnection]:
        """List an account's connections and invites, newest first, without those that have ended."""
        async with self._database.reading() as database:
            return await ConnectionRepository(database).list_of(account_id, shown=shown)

    async def get(self, connection_id: UUID, *, by: Principal) -> ListedConnection:
        """Read one of the account's connections, even if it has ended.

        Raises:
            NoSuchConnectionError: The account is not a party to it.
        """
        async with self._database.reading() as database:
            return await ConnectionRepository(database).get(connection_id, account_id=by.account_id)

    async def agents_of_other(self, connection_id: UUID, *, by: Principal) -> Sequence[Agent]:
        """List the agents that the other account offers for pairings.

        Raises:
            NoSuchConnectionError: The account is not a party to it.
            ConnectionNotActiveError: It is not active.
        """
        async with self._database.reading() as database:
            connection = await ConnectionRepository(database).get(connection_id, account_id=by.account_id)
            if not connection.is_active:
                raise ConnectionNotActiveError
            return await AgentRepository(database).list_available(connection.other_than(by.account_id) or "")

    async def address(self, tx: Transaction, email: str, *, account_id: str) -> None:
        """Hand the invites that waited for an address to the account that has it now.

        An invite that the account would not have got as things stand is given up. The caller holds the address.
        """
        repository = ConnectionRepository(tx)
        waiting = await repository.list_waiting(email)
        await PeopleRepository(tx).lock_accounts(account_id, *(one.inviter_account_id for one in waiting))
        for known in waiting:
            connection = await repository.lock_waiting(known.id)
            if connection is None:
                continue
            if await self._is_welcome(tx, connection.inviter_account_id, account_id):
                addressed = connection.addressed(account_id)
                await repository.update(addressed)
                await self._outbox.append(tx, facts.addressed(addressed))
            else:
                await repository.delete(connection.id)
                await self._outbox.append(tx, facts.rejected(connection.superseded(), InviteEnd.SUPERSEDED))

    async def end_all(self, tx: Transaction, account_id: str) -> None:
        """End the connections, pairings and blocks of an account that is no more."""
        await PeopleRepository(tx).lock_accounts(account_id)
        for connection in await ConnectionRepository(tx).lock_all(account_id):
            await self._end(tx, connection, ConnectionEnd.ACCOUNT_DELETED)
        await BlockRepository(tx).delete_all(account_id)

    async def _end(self, tx: Transaction, connection: Connection, reason: ConnectionEnd) -> int:
        revoked = connection.revoked()
        ended = await self._pairings.end_of_connection(tx, connection.id, _PAIRINGS_END[reason])
        await ConnectionRepository(tx).end(revoked, reason)
        await self._outbox.append(tx, facts.revoked(revoked, reason))
        return ended

    async def _check_between(self, tx: Transaction, inviter: str, invitee: str) -> None:
        if await BlockRepository(tx).is_between(inviter, invitee):
            raise BlockedError
        for connection in await ConnectionRepository(tx).lock_between(inviter, invitee):
            raise AlreadyConnectedError if connection.is_active else InvitePendingError

    async def _is_welcome(self, tx: Transaction, inviter: str, invitee: str) -> bool:
        if inviter == invitee:
            return False
        try:
            await self._check_between(tx, inviter, invitee)
        except (BlockedError, AlreadyConnectedError, InvitePendingError):
            return False
        return True

    async def _check_room(self, tx: Transaction, account_id: str) -> None:
        limit = self._plans.of(await PeopleRepository(tx).find_plan(account_id)).max_connections
        if reaches(await ConnectionRepository(tx).count(account_id), limit):
            raise PlanLimitReachedError("connections", limit or 0)

    async def _check_pace(self, tx: Transaction, account_id: str) -> None:
        wait_s = await ConnectionRepository(tx).next_invite_after(account_id, limit=self._invites_per_hour)
        if wait_s is not None:
            raise InviteLimitError(retry_after_s=wait_s)
