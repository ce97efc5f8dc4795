"""Facts of other services."""

from instance_orchestrator.domain.plans import AuthorizedKey
from instance_orchestrator.usecases.assignments import Assignments
from instance_orchestrator.usecases.instances import Instances
from instance_orchestrator.usecases.seats import Seats
from instance_orchestrator.usecases.ssh_keys import SshKeys
from shoal.database import Transaction
from shoal_events import (
    AccountDeleted,
    PairingConfirmed,
    PairingDeleted,
    SshKeyCreated,
    SshKeyRotated,
    UserCreated,
    UserDeleted,
    UserUpdated,
)


class Subscribers:
    """What happens to instances when something happens elsewhere."""

    def __init__(self, *, instances: Instances, assignments: Assignments, ssh_keys: SshKeys, seats: Seats) -> None:
        self._instances = instances
        self._assignments = assignments
        self._ssh_keys = ssh_keys
        self._seats = seats

    async def on_ssh_key_created(self, tx: Transaction, event: SshKeyCreated) -> None:
        """Give the instance its key."""
        key = AuthorizedKey(event.public_key, event.fingerprint, event.version)
        await self._ssh_keys.take(tx, event.instance_id, key)

    async def on_ssh_key_rotated(self, tx: Transaction, event: SshKeyRotated) -> None:
        """Give the instance its new key."""
        key = AuthorizedKey(event.public_key, event.fingerprint, event.version)
        await self._ssh_keys.take(tx, event.instance_id, key)

    async def on_pairing_confirmed(self, tx: Transaction, event: PairingConfirmed) -> None:
        """Note that an instance's agent is on the dashboard."""
        await self._seats.taken(tx, event.pairing_id)

    async def on_pairing_deleted(self, tx: Transaction, event: PairingDeleted) -> None:
        """Seek another place for an instance's agent if nobody took this one in time."""
        await self._seats.lost(tx, event.pairing_id, event.reason)

    async def on_user_created(self, tx: Transaction, event: UserCreated) -> None:
        """Know a user, who can be assigned instances."""
        await self._assignments.know_user(tx, event.user_id, event.account_id, event.version)

    async def on_user_updated(self, tx: Transaction, event: UserUpdated) -> None:
        """Know a user better."""
        await self._assignments.know_user(tx, event.user_id, event.account_id, event.version)

    async def on_user_deleted(self, tx: Transaction, event: UserDeleted) -> None:
        """Withdraw what a user could use."""
        await self._assignments.forget_user(tx, event.user_id, event.account_id, event.version)

    async def on_account_deleted(self, tx: Transaction, event: AccountDeleted) -> None:
        """Delete the account's instances."""
        await self._instances.remove_all(tx, event.account_id)
