"""How people reach agents."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct


class LiveSockets(Protocol):
    """Counts the browsers that are there."""

    async def count(self, account_id: str) -> int:
        """Count an account's open sockets, over all processes."""
        ...


class Traffic(Struct, frozen=True):
    """How many messages went either way, and when the last one did."""

    messages: int = 0
    last_at: datetime | None = None


class Traffics(Protocol):
    """Counts what went through channels."""

    async def traffic(self, account_id: str, origins: Sequence[str]) -> Traffic:
        """Count what came from these origins, and the answers to it."""
        ...


class ChannelSwitches(Protocol):
    """Tells which channels an account configured."""

    async def channels(self, account_id: str) -> Mapping[str, bool]:
        """Tell which there are to be, and whether each is enabled."""
        ...
