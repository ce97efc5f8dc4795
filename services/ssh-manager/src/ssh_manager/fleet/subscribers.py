"""Facts of instance-orchestrator."""

from shoal.database import Transaction
from shoal_events import (
    AssignmentChanged,
    InstanceCreated,
    InstanceDeleted,
    InstanceRenamed,
    InstanceRunning,
    InstanceStopped,
)
from ssh_manager.fleet.domain import id_of
from ssh_manager.fleet.usecases import Fleet
from ssh_manager.ports import Instance, Status


class FleetSubscribers:
    """What is kept of instances and assignments."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def on_created(self, tx: Transaction, event: InstanceCreated) -> None:
        """Take in an instance."""
        await self._fleet.created(tx, event.instance_id, event.account_id, event.name, event.display_name)

    async def on_renamed(self, tx: Transaction, event: InstanceRenamed) -> None:
        """Take in what people call an instance."""
        await self._fleet.renamed(tx, event.instance_id, event.account_id, event.display_name, event.version)

    async def on_running(self, tx: Transaction, event: InstanceRunning) -> None:
        """Take in how an instance is reached."""
        instance = Instance(
            id=id_of(event.instance_id),
            account_id=event.account_id,
            name=event.name,
            display_name=event.display_name,
            status=Status.RUNNING,
            ssh_host=event.ssh_host,
            ssh_port=event.ssh_port,
            ssh_user=event.ssh_user,
            host_public_key=event.host_public_key,
            version=event.version,
        )
        await self._fleet.is_running(tx, instance)

    async def on_stopped(self, tx: Transaction, event: InstanceStopped) -> None:
        """Take in that an instance does not run."""
        await self._fleet.stopped(tx, event.instance_id, event.account_id, event.reason, event.version)

    async def on_deleted(self, tx: Transaction, event: InstanceDeleted) -> None:
        """Take in that an instance is gone."""
        await self._fleet.deleted(tx, event.instance_id, event.account_id, event.version)

    async def on_assignment_changed(self, tx: Transaction, event: AssignmentChanged) -> None:
        """Take in which instances a user may use."""
        await self._fleet.assigned(tx, event.user_id, event.account_id, event.instance_ids, event.version)
