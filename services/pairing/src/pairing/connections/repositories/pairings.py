"""Agent pairings."""

from uuid import UUID, uuid4

from pairing.connections.domain.pairings import AgentPairing, AgentPairingStatus, Proposal
from pairing.connections.errors import AgentPairingExistsError, NoSuchAgentPairingError
from shoal.database import Transaction, violation_as


class AgentPairingRepository:
    """Rows of `agent_pairing`, one per proposal for ever."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(self, connection_id: UUID, proposal: Proposal) -> AgentPairing:
        """Add a pending pairing that the target has to confirm.

        Raises:
            AgentPairingExistsError: The two agents have one that has not ended.
        """
        with violation_as(agent_pairing_agents_key=AgentPairingExistsError):
            pairing = await self._tx.find(
                AgentPairing,
                """
                insert into agent_pairing (id, connection_id, proposer_account_id, proposer_agent_id, target_account_id,
                                           target_agent_id, permission, awaiting_account_id)
                values ($1, $2, $3, $4, $5, $6, $7, $5)
                returning id, connection_id, proposer_account_id, proposer_agent_id, target_account_id,
                          target_agent_id, permission, status, awaiting_account_id, version, created_at, confirmed_at,
                          revoked_at, revoked_reason
                """,
                *(uuid4(), connection_id, proposal.proposer_account_id, proposal.proposer_agent_id),
                *(proposal.target_account_id, proposal.target_agent_id, proposal.permission),
            )
        if pairing is None:
            raise AgentPairingExistsError
        return pairing

    async def list_of(
        self, account_id: str, *, connection_id: UUID | None = None, status: AgentPairingStatus | None = None
    ) -> list[AgentPairing]:
        """List an account's agent pairings, ended ones included, newest first."""
        return await self._tx.all(
            AgentPairing,
            """
            select id, connection_id, proposer_account_id, proposer_agent_id, target_account_id, target_agent_id,
                   permission, status, awaiting_account_id, version, created_at, confirmed_at, revoked_at,
                   revoked_reason
              from agent_pairing
             where (proposer_account_id = $1 or target_account_id = $1)
               and ($2::uuid is null or connection_id = $2)
               and ($3::text is null or status = $3)
             order by created_at desc, id
            """,
            *(account_id, connection_id, status),
        )

    async def get(self, pairing_id: UUID, *, account_id: str) -> AgentPairing:
        """Read one of an account's agent pairings.

        Raises:
            NoSuchAgentPairingError: The account has none of this id.
        """
        pairing = await self._tx.find(
            AgentPairing,
            """
            select id, connection_id, proposer_account_id, proposer_agent_id, target_account_id, target_agent_id,
                   permission, status, awaiting_account_id, version, created_at, confirmed_at, revoked_at,
                   revoked_reason
              from agent_pairing
             where id = $1
               and (proposer_account_id = $2 or target_account_id = $2)
            """,
            *(pairing_id, account_id),
        )
        if pairing is None:
            raise NoSuchAgentPairingError
        return pairing

    async def lock(self, pairing_id: UUID, *, account_id: str) -> AgentPairing:
        """Read one of an account's agent pairings and hold its row.

        Raises:
            NoSuchAgentPairingError: The account has none of this id.
        """
        pairing = await self._tx.find(
            AgentPairing,
            """
            select id, connection_id, proposer_account_id, proposer_agent_id, target_account_id, target_agent_id,
                   permission, status, awaiting_account_id, version, created_at, confirmed_at, revoked_at,
                   revoked_reason
              from agent_pairing
             where id = $1
               and (proposer_account_id = $2 or target_account_id = $2)
               for update
            """,
            *(pairing_id, account_id),
        )
        if pairing is None:
            raise NoSuchAgentPairingError
        return pairing

    async def lock_all(
        self, *, connection_id: UUID | None = None, agent_uuid: UUID | None = None
    ) -> list[AgentPairing]:
        """Read the agent pairings of a connection, or of an agent, that have not ended, and hold their rows."""
        return await self._tx.all(
            AgentPairing,
            """
            select id, connection_id, proposer_account_id, proposer_agent_id, target_account_id, target_agent_id,
                   permission, status, awaiting_account_id, version, created_at, confirmed_at, revoked_at,
                   revoked_reason
              from agent_pairing
             where status <> 'revoked'
               and (connection_id = $1 or proposer_agent_id = $2 or target_agent_id = $2)
             order by id
               for update
            """,
            *(connection_id, agent_uuid),
        )

    async def find_between(self, one: UUID, other: UUID) -> AgentPairing | None:
        """Find the agent pairing of two agents that has not ended."""
        return await self._tx.find(
            AgentPairing,
            """
            select id, connection_id, proposer_account_id, proposer_agent_id, target_account_id, target_agent_id,
                   permission, status, awaiting_account_id, version, created_at, confirmed_at, revoked_at,
                   revoked_reason
              from agent_pairing
             where status <> 'revoked'
               and least(proposer_agent_id, target_agent_id) = least($1::uuid, $2::uuid)
               and greatest(proposer_agent_id, target_agent_id) = greatest($1::uuid, $2::uuid)
            """,
            *(one, other),
        )

    async def count(self, connection_id: UUID) -> int:
        """Count the agent pairings under a connection that have not ended."""
        count: int = await self._tx.value(
            "select count(*) from agent_pairing where connection_id = $1 and status <> 'revoked'", connection_id
        )
        return count

    async def update(self, pairing: AgentPairing) -> None:
        """Store what became of an agent pairing."""
        await self._tx.execute(
            """
            update agent_pairing
               set permission = $2, status = $3, awaiting_account_id = $4, confirmed_at = $5, revoked_at = $6,
                   revoked_reason = $7, version = $8
             where id = $1
            """,
            *(pairing.id, pairing.permission, pairing.status, pairing.awaiting_account_id),
            *(pairing.confirmed_at, pairing.revoked_at, pairing.revoked_reason, pairing.version),
        )
