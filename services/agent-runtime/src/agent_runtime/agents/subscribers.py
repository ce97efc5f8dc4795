"""Facts of the gateway: accounts come and go."""

from collections.abc import Sequence

from agent_runtime.agents.usecases import Agents
from agent_runtime.ports import AccountEnd
from shoal.database import Transaction
from shoal_events import AccountCreated, AccountDeleted


class AccountSubscribers:
    """What happens here to accounts.

    Args:
        agents: Where they begin and end.
        endings: What each other subject erases of an account, in this order, before its agents go.
    """

    def __init__(self, agents: Agents, endings: Sequence[AccountEnd]) -> None:
        self._agents = agents
        self._endings = tuple(endings)

    async def on_account_created(self, tx: Transaction, event: AccountCreated) -> None:
        """Give it an agent."""
        await self._agents.meet_account(tx, event.account_id, event.version)

    async def on_account_deleted(self, tx: Transaction, event: AccountDeleted) -> None:
        """Erase all of it."""
        for end in self._endings:
            await end(tx, event.account_id)
        await self._agents.part_from_account(tx, event.account_id, event.version)
