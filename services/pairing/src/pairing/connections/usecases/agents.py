"""Agents: register, connect, describe, disconnect, delete; and find those of others by name."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pairing.connections.domain.agents import (
    CONNECT_TOKEN_ID,
    CONNECT_TOKEN_PREFIX,
    Agent,
    AgentStatus,
    ConnectToken,
    NewAgent,
    PublicKeys,
    RegisteredAgent,
    as_uuid,
    inbox_url,
)
from pairing.connections.domain.pairings import AgentPairingEnd
from pairing.connections.domain.people import OwnedAgent, masked
from pairing.connections.domain.plans import Plans, reaches
from pairing.connections.errors import (
    AlreadyDisconnectedError,
    AmbiguousRecipientError,
    Candidate,
    ConnectTokenRefusedError,
    NoSuchAgentError,
    PlanLimitReachedError,
    ScopeMismatchError,
)
from pairing.connections.repositories.agents import AgentRepository
from pairing.connections.repositories.people import PeopleRepository
from pairing.connections.usecases.facts import agents as facts
from pairing.connections.usecases.pairings import AgentPairings
from shoal.database import Database, Transaction
from shoal.identity import Principal
from shoal.ids import fingerprint, new_id, new_secret
from shoal.outbox import Outbox


class Agents:
    """Register and keep the agents of an account."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        pairings: AgentPairings,
        plans: Plans,
        token_ttl: timedelta,
        public_url: str,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._pairings = pairings
        self._plans = plans
        self._token_ttl = token_ttl
        self._public_url = public_url

    async def register(self, new: NewAgent, *, by: Principal) -> RegisteredAgent:
        """Register an agent: connected if it brings a public key, else pending and with a token to connect by.

        Raises:
            AgentExistsError: The account has an agent of this name.
            PlanLimitReachedError: The account has as many agents as its plan allows.
        """
        async with self._database.transaction() as tx:
            repository, people = AgentRepository(tx), PeopleRepository(tx)
            await people.lock_accounts(by.account_id)
            agent = await repository.insert(new, account_id=by.account_id)
            limit = self._plans.of(await people.find_plan(by.account_id)).max_agents
            if reaches(await repository.count(by.account_id) - 1, limit):
                raise PlanLimitReachedError("agents", limit or 0)
            await self._outbox.append(tx, facts.registered(agent))
            token = None if agent.is_connected else await self._issue_token(tx, agent)
        return RegisteredAgent(agent, inbox_url(self._public_url, agent.id), token)

    async def connect(self, keys: PublicKeys, *, by: Principal) -> Agent:
        """Take the public key of the agent whose connect token was shown, which uses the token up.

        Raises:
            ConnectTokenRefusedError: The token was used, replaced, or has expired by the database's clock.
        """
        agent_uuid = as_uuid(by.agent_id)
        if agent_uuid is None:
            raise ConnectTokenRefusedError
        async with self._database.transaction() as tx:
            agent = await AgentRepository(tx).connect(agent_uuid, token_id=by.credential_id, keys=keys)
            if agent is None:
                raise ConnectTokenRefusedError
            await self._outbox.append(tx, facts.connected(agent))
        return agent

    async def reissue_token(self, name: str, *, by: Principal) -> tuple[Agent, ConnectToken]:
        """Make a new connect token, which ends the one before.

        Raises:
            NoSuchAgentError: The account has no such agent.
        """
        async with self._database.transaction() as tx:
            agent = await AgentRepository(tx).lock(name, account_id=by.account_id)
            return agent, await self._issue_token(tx, agent)

    async def list_for(self, account_id: str) -> list[Agent]:
        """List an account's agents, oldest first."""
        async with self._database.reading() as database:
            return await AgentRepository(database).list_of(account_id)

    async def get(self, name: str, *, by: Principal) -> Agent:
        """Read one of the account's agents by its UUID or agent_id.

        Raises:
            NoSuchAgentError: The account has no such agent.
            ScopeMismatchError: An agent asks for another one.
        """
        async with self._database.reading() as database:
            return check_scope(await AgentRepository(database).get(name, account_id=by.account_id), by)

    async def change(self, name: str, changes: dict[str, Any], *, by: Principal) -> Agent:
        """Describe an agent otherwise.

        Args:
            name: Its UUID or agent_id.
            changes: New values by field of `Agent`.
            by: Who asks.

        Raises:
            NoSuchAgentError: The account has no such agent.
            ValidationError: The metadata is too large.
        """
        async with self._database.transaction() as tx:
            repository = AgentRepository(tx)
            before = await repository.lock(name, account_id=by.account_id)
            if before.changed(changes) == before:
                return before
            agent = await repository.update(before.changed(changes))
            await self._outbox.append(tx, facts.updated(agent))
        return agent

    async def disconnect(self, name: str, *, by: Principal) -> Agent:
        """Wipe an agent's keys; its pairings stay, and nothing passes until it connects again.

        Raises:
            NoSuchAgentError: The account has no such agent.
            ScopeMismatchError: An agent disconnects another one.
            AlreadyDisconnectedError: It is disconnected.
        """
        async with self._database.transaction() as tx:
            repository = AgentRepository(tx)
            before = check_scope(await repository.lock(name, account_id=by.account_id), by)
            if before.status is AgentStatus.DISCONNECTED:
                raise AlreadyDisconnectedError
            agent = await repository.disconnect(before.id)
            await self._outbox.append(tx, facts.disconnected(agent))
        return agent

    async def remove(self, name: str, *, by: Principal) -> tuple[Agent, int]:
        """Delete an agent with its keys and pairings; tells how many pairings ended.

        Raises:
            NoSuchAgentError: The account has no such agent.
        """
        async with self._database.transaction() as tx:
            await PeopleRepository(tx).lock_accounts(by.account_id)
            agent = await AgentRepository(tx).lock(name, account_id=by.account_id)
            ended = await self._pairings.end_of_agent(tx, agent.id, AgentPairingEnd.AGENT_DELETED)
            await self._delete(tx, agent, "deleted")
        return agent, ended

    async def remove_all(self, tx: Transaction, account_id: str) -> None:
        """Delete every agent of an account that is no more; its pairings have ended with its connections."""
        for agent in await AgentRepository(tx).list_of(account_id):
            await self._delete(tx, agent, "account_deleted")

    async def resolve(self, agent_id: str, account: str | None, *, by: Principal) -> OwnedAgent:
        """Find the agent of a name among the account's own and those that it is actively paired with.

        Args:
            agent_id: The name.
            account: Whose: an account's id, its name, or the address of one of its users; None if that is clear.
            by: Who asks; an agent finds those that itself is paired with.

        Raises:
            NoSuchAgentError: There is none, or none that the account may know of.
            AmbiguousRecipientError: Several accounts have one.
        """
        async with self._database.reading() as database:
            found = await AgentRepository(database).list_reachable(
                agent_id, account_id=by.account_id, own=as_uuid(by.agent_id)
            )
            people = PeopleRepository(database)
            cards = await people.cards(agent.account_id for agent in found)
            owned = [OwnedAgent(agent, cards[agent.account_id]) for agent in found]
            if account is not None:
                owned = [one for one in owned if await _is_meant(people, one, account)]
        return _only(owned)

    async def _issue_token(self, tx: Transaction, agent: Agent) -> ConnectToken:
        token = new_secret(CONNECT_TOKEN_PREFIX)
        expires_at = await AgentRepository(tx).set_token(
            agent.id, token_id=new_id(CONNECT_TOKEN_ID), token_hash=fingerprint(token), ttl=self._token_ttl
        )
        return ConnectToken(token, expires_at)

    async def _delete(self, tx: Transaction, agent: Agent, reason: str) -> None:
        deleted = await AgentRepository(tx).delete(agent.id)
        await self._outbox.append(tx, facts.deleted(deleted, reason))


def check_scope(agent: Agent, by: Principal) -> Agent:
    """Give the agent if it is one that the caller may speak for.

    Raises:
        ScopeMismatchError: An agent speaks for another one.
    """
    if by.agent_id and by.agent_id != str(agent.id):
        raise ScopeMismatchError
    return agent


async def _is_meant(people: PeopleRepository, owned: OwnedAgent, account: str) -> bool:
    owner = owned.owner
    if account == owner.id or account.casefold() == owner.name.casefold():
        return True
    return await people.is_of(account, owner.id)


def _only(owned: Sequence[OwnedAgent]) -> OwnedAgent:
    if not owned:
        raise NoSuchAgentError
    if len(owned) > 1:
        raise AmbiguousRecipientError(
            [Candidate(one.owner.id, one.owner.name, masked(one.owner.email or "")) for one in owned]
        )
    return owned[0]
