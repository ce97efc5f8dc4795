"""Agent pairings: propose, agree, change, end; and what may pass between two agents."""

from collections.abc import Sequence
from uuid import UUID

from pairing.connections.domain.agents import Agent, as_uuid
from pairing.connections.domain.connections import Connection
from pairing.connections.domain.pairings import (
    AgentPairing,
    AgentPairingEnd,
    AgentPairingStatus,
    Direction,
    Directions,
    PairedAgents,
    Permission,
    Proposal,
    directions,
)
from pairing.connections.domain.plans import Plans, reaches
from pairing.connections.errors import (
    AgentNotAvailableError,
    AgentNotConnectedError,
    AgentNotFoundError,
    AgentPairingExistsError,
    ConnectionNotActiveError,
    PlanLimitReachedError,
    TargetNotConnectedError,
)
from pairing.connections.repositories.agents import AgentRepository
from pairing.connections.repositories.connections import ConnectionRepository
from pairing.connections.repositories.pairings import AgentPairingRepository
from pairing.connections.repositories.people import PeopleRepository
from pairing.connections.usecases.facts import pairings as facts
from shoal.clock import Clock
from shoal.database import Database, Transaction
from shoal.identity import Principal
from shoal.outbox import Outbox


class AgentPairings:
    """Pair agents of two connected accounts, with the consent of both."""

    def __init__(self, *, database: Database, outbox: Outbox, plans: Plans, clock: Clock) -> None:
        self._database = database
        self._outbox = outbox
        self._plans = plans
        self._clock = clock

    async def propose(
        self, connection_id: UUID, *, mine: UUID, theirs: UUID, permission: Permission, by: Principal
    ) -> PairedAgents:
        """Propose a pairing of one of the account's agents with one of the other account's.

        What can be refused is looked at in the order below.

        Raises:
            NoSuchConnectionError: The account is not a party to it.
            ConnectionNotActiveError: It is not active.
            AgentNotFoundError: An agent is not of the account that it should be of.
            AgentNotConnectedError: The account's agent has no public key.
            TargetNotConnectedError: The other agent has none.
            AgentNotAvailableError: The other account does not offer its agent.
            AgentPairingExistsError: The two have a pairing that has not ended.
            PlanLimitReachedError: There are as many under this connection as the plan allows.
        """
        async with self._database.transaction() as tx:
            connection = await ConnectionRepository(tx).lock(connection_id, account_id=by.account_id)
            if not connection.is_active:
                raise ConnectionNotActiveError
            own, other = await _agents(tx, connection, mine=mine, theirs=theirs, account_id=by.account_id)
            _check_agents(own, other)
            await self._check_room(tx, connection, own, other)
            pairing = await AgentPairingRepository(tx).insert(
                connection.id,
                Proposal(
                    proposer_account_id=own.account_id,
                    proposer_agent_id=own.id,
                    target_account_id=other.account_id,
                    target_agent_id=other.id,
                    permission=permission,
                ),
            )
            await self._outbox.append(tx, facts.proposed(pairing))
        return PairedAgents(pairing, own, other)

    async def confirm(self, pairing_id: UUID, *, meaning: Permission | None, by: Principal) -> AgentPairing:
        """Agree to a pairing, or to its changed permission.

        Args:
            pairing_id: The pairing.
            meaning: The permission that the caller believes to agree to, from its side; None takes what stands.
            by: Who agrees.

        Raises:
            NoSuchAgentPairingError: The account has no such pairing.
            InvalidStatusError: It is not pending.
            CannotConfirmOwnError: It is for the other account to agree.
            PermissionChangedError: The permission is another one by now.
        """
        async with self._database.transaction() as tx:
            before = await AgentPairingRepository(tx).lock(pairing_id, account_id=by.account_id)
            confirmed = before.confirmed(by.account_id, at=self._clock.now(), meaning=meaning)
            await AgentPairingRepository(tx).update(confirmed)
            await self._outbox.append(tx, facts.confirmed(confirmed))
        return confirmed

    async def change(self, pairing_id: UUID, permission: Permission, *, by: Principal) -> AgentPairing:
        """Want another permission, seen from the caller's side; nothing passes until the other side agrees.

        Raises:
            NoSuchAgentPairingError: The account has no such pairing.
            InvalidStatusError: It has ended.
        """
        async with self._database.transaction() as tx:
            before = await AgentPairingRepository(tx).lock(pairing_id, account_id=by.account_id)
            changed = before.changed(permission, by.account_id)
            await AgentPairingRepository(tx).update(changed)
            await self._outbox.append(tx, facts.permission_changed(changed))
        return changed

    async def reject(self, pairing_id: UUID, *, by: Principal) -> AgentPairing:
        """Refuse to agree, which ends the pairing.

        Raises:
            NoSuchAgentPairingError: The account has no such pairing.
            InvalidStatusError: It is not pending.
            CannotRejectOwnError: It is for the other account to answer.
        """
        async with self._database.transaction() as tx:
            before = await AgentPairingRepository(tx).lock(pairing_id, account_id=by.account_id)
            return await self._store_end(tx, before.rejected(by.account_id, at=self._clock.now()))

    async def revoke(self, pairing_id: UUID, *, by: Principal) -> AgentPairing:
        """End a pairing for good.

        Raises:
            NoSuchAgentPairingError: The account has no such pairing.
            AgentPairingAlreadyRevokedError: It has ended.
        """
        async with self._database.transaction() as tx:
            before = await AgentPairingRepository(tx).lock(pairing_id, account_id=by.account_id)
            return await self._store_end(tx, before.revoked(AgentPairingEnd.DELETED, at=self._clock.now()))

    async def end_of_connection(self, tx: Transaction, connection_id: UUID, reason: AgentPairingEnd) -> int:
        """End every pairing under a connection; tells how many."""
        return await self._end(tx, await AgentPairingRepository(tx).lock_all(connection_id=connection_id), reason)

    async def end_of_agent(self, tx: Transaction, agent_uuid: UUID, reason: AgentPairingEnd) -> int:
        """End every pairing of an agent; tells how many."""
        return await self._end(tx, await AgentPairingRepository(tx).lock_all(agent_uuid=agent_uuid), reason)

    async def list_under(self, connection_id: UUID, *, by: Principal) -> list[PairedAgents]:
        """List the pairings under a connection, ended ones included, newest first.

        Raises:
            NoSuchConnectionError: The account is not a party to it.
        """
        async with self._database.reading() as database:
            await ConnectionRepository(database).get(connection_id, account_id=by.account_id)
            pairings = await AgentPairingRepository(database).list_of(by.account_id, connection_id=connection_id)
            return await _with_agents(database, pairings)

    async def list_for(
        self, *, status: AgentPairingStatus | None, direction: Direction | None, by: Principal
    ) -> list[PairedAgents]:
        """List the account's pairings under all connections, newest first; an agent's own if an agent asks.

        Args:
            status: Only those with this status.
            direction: Only those that wait for the caller (incoming) or for the other side (outgoing).
            by: Who asks.
        """
        async with self._database.reading() as database:
            pairings = await AgentPairingRepository(database).list_of(by.account_id, status=status)
            return await _with_agents(
                database, [one for one in pairings if _is_own(one, by) and _goes(one, direction, by.account_id)]
            )

    async def get(self, pairing_id: UUID, *, by: Principal) -> PairedAgents:
        """Read one of the account's pairings.

        Raises:
            NoSuchAgentPairingError: The account has no such pairing.
        """
        async with self._database.reading() as database:
            pairing = await AgentPairingRepository(database).get(pairing_id, account_id=by.account_id)
            return (await _with_agents(database, [pairing]))[0]

    async def directions(self, mine: Agent, theirs: UUID) -> Directions:
        """Tell what may pass right now between an agent and another one, which may not exist at all."""
        async with self._database.reading() as database:
            other = (await AgentRepository(database).by_ids([theirs])).get(theirs)
            pairing = await AgentPairingRepository(database).find_between(mine.id, theirs)
        return directions(mine, other, pairing)

    async def _check_room(self, tx: Transaction, connection: Connection, own: Agent, other: Agent) -> None:
        repository = AgentPairingRepository(tx)
        if await repository.find_between(own.id, other.id) is not None:
            raise AgentPairingExistsError
        plan = await PeopleRepository(tx).find_plan(own.account_id)
        limit = self._plans.of(plan).max_pairings_per_connection
        if reaches(await repository.count(connection.id), limit):
            raise PlanLimitReachedError("pairings under a connection", limit or 0)

    async def _end(self, tx: Transaction, pairings: Sequence[AgentPairing], reason: AgentPairingEnd) -> int:
        for pairing in pairings:
            await self._store_end(tx, pairing.revoked(reason, at=self._clock.now()))
        return len(pairings)

    async def _store_end(self, tx: Transaction, ended: AgentPairing) -> AgentPairing:
        await AgentPairingRepository(tx).update(ended)
        await self._outbox.append(tx, facts.ended(ended))
        return ended


async def _agents(
    tx: Transaction, connection: Connection, *, mine: UUID, theirs: UUID, account_id: str
) -> tuple[Agent, Agent]:
    agents = await AgentRepository(tx).lock_shared([mine, theirs])
    own, other = agents.get(mine), agents.get(theirs)
    for agent, owner in ((own, account_id), (other, connection.other_than(account_id))):
        if agent is None or agent.account_id != owner or agent.deleted_at is not None:
            raise AgentNotFoundError
    if own is None or other is None:
        raise AgentNotFoundError
    return own, other


def _check_agents(own: Agent, other: Agent) -> None:
    if not own.is_connected:
        raise AgentNotConnectedError
    if not other.is_connected:
        raise TargetNotConnectedError
    if not other.is_available:
        raise AgentNotAvailableError


def _is_own(pairing: AgentPairing, by: Principal) -> bool:
    return not by.agent_id or pairing.agent_of(by.account_id) == as_uuid(by.agent_id)


def _goes(pairing: AgentPairing, direction: Direction | None, account_id: str) -> bool:
    if direction is None:
        return True
    is_incoming = pairing.awaiting_account_id == account_id
    return pairing.awaiting_account_id is not None and is_incoming is (direction is Direction.INCOMING)


async def _with_agents(database: Transaction, pairings: Sequence[AgentPairing]) -> list[PairedAgents]:
    agents = await AgentRepository(database).by_ids(
        [uuid for pairing in pairings for uuid in (pairing.proposer_agent_id, pairing.target_agent_id)]
    )
    return [
        PairedAgents(pairing, agents[pairing.proposer_agent_id], agents[pairing.target_agent_id])
        for pairing in pairings
    ]
