"""Terminals, as lists show them."""

from datetime import datetime

from msgspec import Struct

from ssh_manager.terminals.domain import Summary


class TerminalView(Struct, frozen=True, omit_defaults=True):
    """One terminal."""

    id: str
    instance_id: int
    user_id: str
    shell: str
    state: str
    """`active` (somebody looks at it), `detached` or `closed`."""
    created_at: datetime
    closed_at: datetime | None = None

    @classmethod
    def from_domain(cls, summary: Summary) -> "TerminalView":
        """Show a terminal."""
        return cls(
            summary.id,
            summary.instance_id,
            summary.user_id,
            summary.shell,
            summary.state.value,
            summary.created_at,
            summary.closed_at,
        )


class TerminalList(Struct, frozen=True):
    """Terminals of an instance."""

    sessions: list[TerminalView]


class TerminalClosed(Struct, frozen=True):
    """A terminal that was closed."""

    status: str = "closed"
