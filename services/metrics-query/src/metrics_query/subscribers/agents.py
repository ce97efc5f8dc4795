"""Facts about who is paired and which accounts there are."""

from metrics_query.usecases.agents import Agents
from shoal.database import Transaction
from shoal_events import (
    AccountDeleted,
    PairingConfirmed,
    PairingDeleted,
    PairingRenamed,
    RuntimeAgentCreated,
    RuntimeAgentDeleted,
    RuntimeAgentUpdated,
)


class AgentSubscribers:
    """What metrics-query does when pairings change and accounts go."""

    def __init__(self, agents: Agents) -> None:
        self._agents = agents

    async def on_pairing_confirmed(self, tx: Transaction, event: PairingConfirmed) -> None:
        """Answer for a paired agent from now on."""
        await self._agents.confirmed(tx, event)

    async def on_pairing_renamed(self, tx: Transaction, event: PairingRenamed) -> None:
        """Show a pairing's new name."""
        await self._agents.renamed(tx, event)

    async def on_pairing_deleted(self, tx: Transaction, event: PairingDeleted) -> None:
        """Answer for a pairing's agent no longer."""
        await self._agents.deleted(tx, event)

    async def on_runtime_agent_created(self, tx: Transaction, event: RuntimeAgentCreated) -> None:
        """Answer for an agent of the runtime."""
        await self._agents.runs(tx, event)

    async def on_runtime_agent_updated(self, tx: Transaction, event: RuntimeAgentUpdated) -> None:
        """Show the new name of an agent of the runtime."""
        await self._agents.runs(tx, event)

    async def on_runtime_agent_deleted(self, tx: Transaction, event: RuntimeAgentDeleted) -> None:
        """Answer for an agent of the runtime no longer."""
        await self._agents.runs_no_more(tx, event)

    async def on_account_deleted(self, tx: Transaction, event: AccountDeleted) -> None:
        """Answer for the account no longer."""
        await self._agents.account_deleted(tx, event)
