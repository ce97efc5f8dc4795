"""What our servers have in common: one directory, one port on loopback, one process."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Final

from shoal_embedded.processes import ServerError, ServerProcess, own_files

_START_SECONDS: Final = 60.0  # recovery after a crash reads back what was written
_OTHER_PORTS: Final = 5


class EmbeddedServer(ABC):
    """A server on loopback that serves one directory.

    The data outlives `stop()`, and so does the port within one object: clients reconnect after a restart.
    """

    part: ClassVar[str]
    """What messages call it, as `PostgreSQL`."""
    stop_seconds: ClassVar[float]
    """How long an orderly end may take."""

    def __init__(self, directory: Path, *, port: int) -> None:
        self._directory = directory.resolve()
        self._port = port
        self._server: ServerProcess | None = None

    @property
    @abstractmethod
    def log(self) -> Path:
        """The server's log file."""

    @property
    def port(self) -> int:
        """The TCP port for clients; 0 before the first start unless given."""
        return self._port

    @property
    def pid(self) -> int | None:
        """Process id while it runs, else None."""
        return self._server.pid if self._server is not None else None

    async def start(self) -> None:
        """Start the server, at the first time with a new directory; return when it serves.

        A port that nobody asked for, and that somebody else took before the server could, is given up for another.

        Raises:
            AlreadyRunningError: Another server serves the directory.
            ServerError: It cannot start; names the log and its last lines.
        """
        other_ports = 0 if self._port else _OTHER_PORTS
        while True:
            with own_files(self.part):
                self._server = await self._prepare()
            try:
                await self._server.start(self._is_ready, within=_START_SECONDS)
            except ServerError as error:
                if not (error.is_port_taken and other_ports):
                    raise
                other_ports -= 1
                self._port = 0
            else:
                return

    async def stop(self) -> None:
        """End all sessions and stop the server; without effect on one that is stopped."""
        if self._server is not None:
            await self._server.stop(within=self.stop_seconds)

    async def wait(self) -> int:
        """Wait until the server has ended, asked or not; its exit status."""
        if self._server is None:
            raise ServerError(self.part, "was never started")
        return await self._server.wait()

    @abstractmethod
    async def _prepare(self) -> ServerProcess:
        """Make the directory and the port ready, and say what is to be run."""

    @abstractmethod
    async def _is_ready(self) -> bool:
        """Tell whether it is our process that serves there."""
