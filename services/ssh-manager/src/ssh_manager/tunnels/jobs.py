"""What the clock asks for."""

import asyncio

import structlog
from prometheus_client import CollectorRegistry, Gauge

from ssh_manager.tunnels.usecases import Tunnels


class TunnelChecks:
    """Looks through every tunnel, every so often.

    No job by lease: tunnels are where connections are, which is one process.
    """

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
            while True:
                await asyncio.sleep(self._every_s)
                try:
                    await self._tunnels.check_all()
                    self._measure()
                except Exception as error:  # noqa: BLE001 - one look that fails must not end the next ones
                    structlog.get_logger().error("tunnel_check_failed", error=repr(error), exc_info=error)
        finally:
            self._tunnels.close()

    def _measure(self) -> None:
        states = [one.is_healthy for one in self._tunnels.every_state()]
        self._gauge.labels("healthy").set(sum(states))
        self._gauge.labels("broken").set(len(states) - sum(states))
