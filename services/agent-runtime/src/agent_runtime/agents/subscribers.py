"""Facts of the gateway: accounts come and go."""

from collections.abc import Sequence

from agent_runtime.agents.usecases import Agents
from agent_runtime.ports import Erasure
from shoal.database import Transaction
from shoal_events import AccountCreated, AccountDeleted


class AccountSubscribers:
    """What happens here to accounts.

    Args:
        agents: Where they begin and end.
        erasures: Those of the other subjects, in this order; agents go last.
    """

    def __init__(self, agents: Agents, erasures: Sequence[Erasure]) -> None:
        self._agents = agents
        self._erasures = tuple(erasures)

    async def on_account_created(self, tx: Transaction, event: AccountCreated) -> None:
        """Give a new account its first agent."""
        await self._agents.meet_account(tx, event.account_id, event.version)

    async def on_account_deleted(self, tx: Transaction, event: AccountDeleted) -> None:
        """Erase all that is here of an account."""
        for erase in self._erasures:
            await erase(tx, event.account_id)
        await self._agents.erase(tx, event.account_id, event.version)
