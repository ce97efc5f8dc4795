"""What the clock asks for."""

import asyncio

import structlog

from ssh_manager.terminals.usecases.terminals import Terminals

LOOK_S = 1.0


class TerminalChecks:
    """Closes terminals that must not be open any more."""

    name = "terminals"

    def __init__(self, terminals: Terminals) -> None:
        self._terminals = terminals

    def problem(self) -> str | None:
        """Nothing here keeps the service from answering."""
        return None

    async def run(self) -> None:
        """Look for ever; at the end close everything."""
        try:
            while True:
                await asyncio.sleep(LOOK_S)
                try:
                    await self._terminals.look()
                except Exception as error:  # noqa: BLE001 - one look that fails must not end the next ones
                    structlog.get_logger().error("terminal_check_failed", error=repr(error), exc_info=error)
        finally:
            await self._terminals.close_all()
