"""Facts of other services that end terminals."""

from shoal.database import Transaction
from shoal_events import UserDeleted
from ssh_manager.terminals.usecases.terminals import Terminals


class TerminalSubscribers:
    """What happens to terminals when something happens elsewhere; access is asked about every second."""

    def __init__(self, terminals: Terminals) -> None:
        self._terminals = terminals

    async def on_user_deleted(self, tx: Transaction, event: UserDeleted) -> None:
        """Close a user's terminals: an admin may use instances that nobody assigned."""
        tx.after_commit(lambda: self._terminals.close_of_user(event.user_id))
