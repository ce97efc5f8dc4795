"""What the clock asks for."""

from prometheus_client import CollectorRegistry, Gauge

from ssh_manager.looking import look_for_ever
from ssh_manager.tunnels.usecases import Tunnels


class TunnelChecks:
    """Looks through every tunnel, every so often."""

    name = "tunnels"

    def __init__(self, tunnels: Tunnels, every_s: float, registry: CollectorRegistry) -> None:
        self._tunnels = tunnels
        self._every_s = every_s
        self._gauge = Gauge(
            "shoal_ssh_tunnels",
            "Tunnels of running instances, by state: healthy, broken",
            ("state",),
            registry=registry,
        )

    def problem(self) -> str | None:
        """A tunnel that is closed does not make the service unable to answer."""
        return None

    async def run(self) -> None:
        """Look for ever; at the end close everything."""
        try:
            await look_for_ever(self._look, every_s=self._every_s, failure="tunnel_check_failed")
        finally:
            self._tunnels.close()

    async def _look(self) -> None:
        await self._tunnels.check_all()
        states = [one.is_healthy for one in self._tunnels.every_state()]
        self._gauge.labels("healthy").set(sum(states))
        self._gauge.labels("broken").set(len(states) - sum(states))
