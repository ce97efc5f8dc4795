"""A service in a process of its own."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from shoal_embedded.processes import ServerError, ServerProcess

STOP_S = 20.0
HURRIED_STOP_S = 5.0
SHARED = ("SHOAL_", "OTEL_")
"""Variables that every service is told; those of other services are none of its business."""
ADMIN_URL = "SHOAL_DATABASE_URL"
"""Who migrates signs in by this; a service never does."""


class ServiceProcess:
    """`shoal run <name>` as a child that dies with its parent.

    Args:
        name: The service.
        environment: All of its environment.
        log: Takes its output.
    """

    def __init__(self, name: str, *, environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        command = [sys.executable, "-m", "shoal", "run", name]
        own = f"{name.replace('-', '_').upper()}_"
        told = {key: value for key, value in environment.items() if key.startswith((own, *SHARED)) and key != ADMIN_URL}
        self._process = ServerProcess(
            name, command, log=log, stop_signal=signal.SIGTERM, environment={"PATH": os.defpath, **told}
        )

    @property
    def pid(self) -> int | None:
        """Process id while it runs, else None."""
        return self._process.pid

    async def start(self) -> None:
        """Start it; returns before it is ready."""
        await self._process.start(_at_once, within=10)

    async def stop(self) -> None:
        """Let it drain and end."""
        await self._process.stop(within=STOP_S)

    def hurry(self) -> None:
        """Take the grace from a `stop`, under way or to come; kill what has not ended five seconds later."""
        for number in (signal.SIGTERM, signal.SIGINT):  # two, and not twice the same, which may arrive as one
            self._process.send(number)
        asyncio.get_running_loop().call_later(HURRIED_STOP_S, self._process.send, signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGKILL or SIGSTOP; for tests that break things."""
        self._process.send(number)

    async def wait(self) -> int:
        """Wait for its end; its exit status."""
        return await self._process.wait()

    def raise_if_ended(self) -> None:
        """Say so if it ended by itself.

        Raises:
            ServerError: It did; with its log's last lines.
        """
        if self._process.pid is None:
            raise self.failure("ended while starting")

    def failure(self, problem: str) -> ServerError:
        """Build the error that says what went wrong, with the log's last lines since the start."""
        return self._process.failure(problem)


async def _at_once() -> bool:
    return True
