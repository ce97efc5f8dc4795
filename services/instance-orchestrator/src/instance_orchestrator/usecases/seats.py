"""The places of instances' agents on dashboards, as pairing tells of them."""

from instance_orchestrator.repositories.instances import InstanceRepository
from instance_orchestrator.usecases.instances import WORK
from shoal.database import Transaction

EXPIRED = "expired"


class Seats:
    """Follow the pairings of instances."""

    async def taken(self, tx: Transaction, pairing_id: str) -> None:
        """Note that an instance's agent is paired; its token is spent."""
        repository = InstanceRepository(tx)
        if (instance_id := await repository.find_by_pairing(pairing_id)) is not None:
            await repository.set_pairing(instance_id, pairing_id, is_paired=True)
            await repository.nudge(instance_id)
            await repository.signal(WORK)

    async def lost(self, tx: Transaction, pairing_id: str, reason: str) -> None:
        """Seek another place where the offer ran out; a pairing that somebody deleted stays deleted."""
        repository = InstanceRepository(tx)
        if (instance_id := await repository.find_by_pairing(pairing_id)) is not None and reason == EXPIRED:
            await repository.nudge(instance_id)
            await repository.signal(WORK)
