"""How everything here is made, top to bottom."""

from shoal.copies import Copy
from shoal.jobs import housekeeping
from shoal.resources import Component, Resources
from shoal.subscriptions import Handlers, Subscription
from shoal_events import (
    AssignmentChanged,
    InstanceCreated,
    InstanceDeleted,
    InstanceRenamed,
    InstanceRunning,
    InstanceStopped,
)
from ssh_manager.config import Config
from ssh_manager.fleet.subscribers import FleetSubscribers
from ssh_manager.fleet.usecases import Access, Fleet
from ssh_manager.vault import open_vault


class Factory:
    """Makes the use cases of a request and the components of the process."""

    def __init__(self, resources: Resources[Config]) -> None:
        self.resources = resources
        self.envelope = open_vault(resources.config)
        self.fleet = Fleet(database=resources.database)

    # use cases

    def access(self) -> Access:
        """Who may use which instance."""
        return Access(database=self.resources.database)

    # what works beside requests

    def components(self) -> list[Component]:
        """List the components in the order of starting."""
        resources = self.resources
        fleet = self._fleet_told()
        return [
            resources.relay(),
            resources.subscriber(Subscription("fleet", fleet)),
            resources.copier(Copy("instances", owner="instance-orchestrator", handlers=fleet)),
            resources.job(housekeeping(resources.database)),
        ]

    def _fleet_told(self) -> Handlers:
        subscribers = FleetSubscribers(self.fleet)
        return {
            InstanceCreated: subscribers.on_created,
            InstanceRenamed: subscribers.on_renamed,
            InstanceRunning: subscribers.on_running,
            InstanceStopped: subscribers.on_stopped,
            InstanceDeleted: subscribers.on_deleted,
            AssignmentChanged: subscribers.on_assignment_changed,
        }
