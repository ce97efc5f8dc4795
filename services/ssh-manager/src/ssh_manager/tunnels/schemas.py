"""Tunnels, as the contract shows them."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from ssh_manager.ports import TunnelState


class TunnelView(Struct, frozen=True):
    """One tunnel."""

    service: str
    """`vnc` or `gateway`."""
    type: str
    """Always `reverse`: the contract's word for a port here that leads to one of the instance."""
    local_port: int
    remote_port: int
    status: str
    """`active` or `closed`."""
    started_at: datetime
    last_check: datetime | None
    """When it was last tried to get through to the other end."""
    last_error: str

    @classmethod
    def from_domain(cls, state: TunnelState) -> "TunnelView":
        """Show a tunnel."""
        return cls(
            service=state.service,
            type="reverse",
            local_port=state.local_port,
            remote_port=state.remote_port,
            status="active" if state.is_healthy else "closed",
            started_at=state.created_at,
            last_check=state.last_check,
            last_error=state.last_error,
        )


class TunnelList(Struct, frozen=True):
    """The tunnels of an instance."""

    tunnels: list[TunnelView]

    @classmethod
    def from_domain(cls, states: Sequence[TunnelState]) -> "TunnelList":
        """Show tunnels."""
        return cls([TunnelView.from_domain(state) for state in states])
