"""What an agent asks first: who am I, whom do I know, how much may I do."""

from pairing.connections.domain.agents import Agent
from pairing.connections.domain.connections import Shown
from pairing.connections.domain.pairings import AgentPairingStatus
from pairing.connections.domain.people import Profile
from pairing.connections.domain.plans import Plans
from pairing.connections.repositories.agents import AgentRepository
from pairing.connections.repositories.connections import ConnectionRepository
from pairing.connections.repositories.pairings import AgentPairingRepository
from pairing.connections.repositories.people import PeopleRepository
from shoal.database import Database, Transaction
from shoal.identity import Principal


class Profiles:
    """Tell agents who they are."""

    def __init__(self, *, database: Database, plans: Plans) -> None:
        self._database = database
        self._plans = plans

    async def of(self, by: Principal, *, named: str | None) -> Profile:
        """Tell an agent's profile, and note that it was heard of.

        Args:
            by: An agent, or a user who asks on behalf of one.
            named: Which of the account's agents a user means.

        Raises:
            NoSuchAgentError: The account has no agent of this name.
        """
        async with self._database.transaction() as tx:
            repository, name = AgentRepository(tx), by.agent_id or named
            agent = None
            if name:
                agent = await repository.mark_seen((await repository.get(name, account_id=by.account_id)).id)
            card = (await PeopleRepository(tx).cards([by.account_id]))[by.account_id]
            connections = await ConnectionRepository(tx).list_of(by.account_id, shown=Shown.ALL)
            active = sum(connection.is_active for connection in connections)
            outgoing = sum(connection.is_own_invite(by.account_id) for connection in connections)
            return Profile(
                agent=agent,
                plan=self._plans.name_of(card.plan),
                email=card.email,
                limits=self._plans.of(card.plan),
                active=active,
                pending_incoming=len(connections) - active - outgoing,
                pending_outgoing=outgoing,
                paired_agents=await _paired_with(tx, by.account_id, agent),
            )


async def _paired_with(tx: Transaction, account_id: str, agent: Agent | None) -> list[str]:
    pairings = await AgentPairingRepository(tx).list_of(account_id, status=AgentPairingStatus.ACTIVE)
    if agent is not None:
        pairings = [pairing for pairing in pairings if pairing.agent_of(account_id) == agent.id]
    theirs = await AgentRepository(tx).by_ids(
        [pairing.agent_of(pairing.other_than(account_id)) for pairing in pairings]
    )
    return sorted({other.agent_id for other in theirs.values()})
