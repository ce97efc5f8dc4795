"""Facts of other services."""

from pairing.dashboard.usecases.pairings import Pairings
from pairing.dashboard.usecases.presences import Presences
from shoal.database import Transaction
from shoal_events import AccountDeleted, AgentOffline, AgentOnline, InstanceDeleted


class PresenceSubscribers:
    """What is kept of agents' connections."""

    def __init__(self, presences: Presences) -> None:
        self._presences = presences

    async def on_agent_online(self, tx: Transaction, event: AgentOnline) -> None:
        """Show the agent as connected."""
        await self._presences.came_online(tx, event)

    async def on_agent_offline(self, tx: Transaction, event: AgentOffline) -> None:
        """Show the agent as disconnected, if this was its last connection."""
        await self._presences.went_offline(tx, event)


class PairingSubscribers:
    """What ends pairings elsewhere."""

    def __init__(self, pairings: Pairings) -> None:
        self._pairings = pairings

    async def on_instance_deleted(self, tx: Transaction, event: InstanceDeleted) -> None:
        """End the pairing of the instance's agent."""
        await self._pairings.end_held(tx, event.pairing_id, account_id=event.account_id)

    async def on_account_deleted(self, tx: Transaction, event: AccountDeleted) -> None:
        """End the account's pairings."""
        await self._pairings.remove_all(tx, event.account_id)
