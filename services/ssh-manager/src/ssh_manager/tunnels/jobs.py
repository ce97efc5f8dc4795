"""What the clock asks for."""

import asyncio

import structlog

from ssh_manager.tunnels.usecases import Tunnels


class TunnelChecks:
    """Looks through every tunnel, every so often.

    No job by lease: tunnels are where connections are, which is one process.
    """

    name = "tunnels"

    def __init__(self, tunnels: Tunnels, every_s: float) -> None:
        self._tunnels = tunnels
        self._every_s = every_s

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
                except Exception as error:  # noqa: BLE001 - one look that fails must not end the next ones
                    structlog.get_logger().error("tunnel_check_failed", error=repr(error), exc_info=error)
        finally:
            self._tunnels.close()
