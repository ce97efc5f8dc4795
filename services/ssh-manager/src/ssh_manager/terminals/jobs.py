"""What the clock asks for."""

from ssh_manager.looking import look_for_ever
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
            await look_for_ever(self._terminals.look, every_s=LOOK_S, failure="terminal_check_failed")
        finally:
            await self._terminals.close_all()
