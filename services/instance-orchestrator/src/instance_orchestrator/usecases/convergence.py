"""One step of one instance: read what it should be, have the backend make it so, note what was seen.

Every step can be repeated after a crash anywhere: the plan is read from rows, the backend compares it with what there
is, and the note is written by the holder of the reconciler's lease only, with the facts that follow from it.
"""

from instance_orchestrator.clients.backend import Backend, PortsTakenError, RefusedByBackendError
from instance_orchestrator.domain.instances import Desired, Instance, Phase
from instance_orchestrator.domain.plans import InstanceRef, Observed
from instance_orchestrator.domain.ports import PortRange
from instance_orchestrator.repositories.instances import InstanceRepository
from instance_orchestrator.usecases.planning import Planning
from instance_orchestrator.usecases.sightings import Sightings
from shoal.database import Database
from shoal.leases import Lease


class Convergence:
    """Brings instances to what they should be, a step at a time."""

    def __init__(
        self, *, database: Database, backend: Backend, planning: Planning, sightings: Sightings, ports: PortRange
    ) -> None:
        self._database = database
        self._backend = backend
        self._planning = planning
        self._sightings = sightings
        self._ports = ports

    async def step(self, instance_id: int, lease: Lease) -> bool:
        """Bring an instance as far as it can be brought now; whether nothing is left to be asked for.

        Raises:
            BackendUnavailableError: The backend cannot do it now.
            LeaseLostError: Somebody else reconciles.
        """
        async with self._database.reading() as database:
            found = await InstanceRepository(database).select(ids=[instance_id], is_deleted_too=True)
            predecessor = await InstanceRepository(database).predecessor(instance_id, found[0].name) if found else None
        if not found or found[0].removed_at is not None:
            return True
        instance = found[0]
        if instance.desired is Desired.DELETED:
            return await self._remove(instance, lease)
        if predecessor is not None:
            return False  # the volumes of that name are still the old one's
        plan = await self._planning.plan(instance)
        try:
            seen = await self._backend.converge(plan)
        except PortsTakenError:
            busy = self._backend.busy_ports(self._ports.first, self._ports.last)
            await self._sightings.ports_taken(instance, lease, ports=self._ports, busy=busy)
            return False
        except RefusedByBackendError as error:
            await self._sightings.note(plan, instance, Observed(Phase.FAILED, problem=str(error)), lease)
            return False
        await self._sightings.note(plan, instance, seen, lease)
        return True

    async def known(self) -> frozenset[int]:
        """List the instances of which the backend may hold something."""
        async with self._database.reading() as database:
            return frozenset(await InstanceRepository(database).ids(is_unfinished_only=False))

    async def unfinished(self) -> list[int]:
        """List the instances on which work is known to be left."""
        async with self._database.reading() as database:
            return await InstanceRepository(database).ids(is_unfinished_only=True)

    async def _remove(self, instance: Instance, lease: Lease) -> bool:
        if not await self._backend.remove(InstanceRef(instance.id, instance.name)):
            return False
        await self._sightings.removed(instance, lease)
        return True
