"""What is shown of connections."""

from collections.abc import Sequence

from shoal.clock import Clock
from ssh_manager.links.domain import LinkReport
from ssh_manager.links.usecases.links import Links
from ssh_manager.ports import Instance, Tunnels


class LinkReports:
    """Tell what connections are now."""

    def __init__(self, *, links: Links, tunnels: Tunnels, clock: Clock) -> None:
        self._links = links
        self._tunnels = tunnels
        self._clock = clock

    def of(self, instance: Instance) -> LinkReport:
        """Report on the connection to one instance."""
        return LinkReport(
            instance=instance,
            link=self._links.snapshot(instance.id),
            tunnels=self._tunnels.states(instance.id),
            at=self._clock.now(),
        )

    def of_all(self, instances: Sequence[Instance]) -> list[LinkReport]:
        """Report on the connections to many instances, in their order."""
        return [self.of(instance) for instance in instances]
