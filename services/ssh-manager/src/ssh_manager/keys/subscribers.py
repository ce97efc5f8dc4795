"""What instance-orchestrator tells of keys."""

from collections.abc import Callable

from shoal.database import Transaction
from shoal_events import InstanceSshKeyApplied
from ssh_manager.keys.usecases.keys import Keys

OnApplied = Callable[[int], None]


class KeySubscribers:
    """What follows when an instance was given a key."""

    def __init__(self, keys: Keys, *, on_applied: OnApplied) -> None:
        self._keys = keys
        self._on_applied = on_applied

    async def on_key_applied(self, tx: Transaction, event: InstanceSshKeyApplied) -> None:
        """Note that the instance keeps the key, and tell who waits for that."""
        number = int(event.instance_id)
        await self._keys.applied(tx, number, event.key_version)

        async def tell() -> None:
            self._on_applied(number)

        tx.after_commit(tell)
