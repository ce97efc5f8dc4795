"""One shell of an instance, with a terminal of its own, over the instance's connection."""

import asyncio
import contextlib

import asyncssh

from ssh_manager.terminals.domain import Shell, Size
from ssh_manager.terminals.errors import ShellFailedError

OPEN_S, PARTING_S = 10.0, 2.0
TERMINAL = "xterm-256color"
_BLOCK = 32 * 1024


class RemoteShell:
    """Reads and writes one shell's terminal; neither side is read faster than the other takes."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self._process = process

    @classmethod
    async def open(cls, connection: asyncssh.SSHClientConnection, shell: Shell, size: Size) -> "RemoteShell":
        """Start a shell.

        Raises:
            ShellFailedError: The instance does not start it.
        """
        try:
            async with asyncio.timeout(OPEN_S):
                process = await connection.create_process(
                    shell.command, term_type=TERMINAL, term_size=(size.columns, size.rows), encoding=None
                )
        except (asyncssh.Error, OSError) as error:  # a TimeoutError is one
            raise ShellFailedError from error
        return cls(process)

    async def read(self) -> bytes:
        """Wait for what it shows next; nothing when it has ended.

        Raises:
            OSError: The connection was lost.
        """
        try:
            shown = await self._process.stdout.read(_BLOCK)
            if not shown:  # how it ended is told after its last word
                await asyncio.wait_for(self._process.wait_closed(), PARTING_S)
        except asyncssh.Error as error:
            raise ConnectionError(str(error)) from error
        return shown

    async def write(self, data: bytes) -> None:
        """Type; a shell that has ended takes nothing."""
        with contextlib.suppress(OSError, asyncssh.Error):
            self._process.stdin.write(data)
            await self._process.stdin.drain()

    def resize(self, size: Size) -> None:
        """Change the terminal's size."""
        with contextlib.suppress(OSError, asyncssh.Error):
            self._process.change_terminal_size(size.columns, size.rows)

    @property
    def is_lost(self) -> bool:
        """Whether it ended without saying how: with its connection."""
        return self._process.returncode is None

    def close(self) -> None:
        """End it; whatever it started is hung up on."""
        with contextlib.suppress(OSError, asyncssh.Error):
            self._process.close()
