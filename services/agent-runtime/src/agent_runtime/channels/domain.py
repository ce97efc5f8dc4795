"""Channels: the ways by which people reach agents, and how each stands."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct

WEB: Final = "web"
WEB_ORIGINS: Final = ("web", "voice", "canvas")
"""Where messages come from that arrive over the web."""


class ChannelState(StrEnum):
    """Whether people can reach agents by a channel."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    ERROR = "error"


class Standing(Struct, frozen=True, kw_only=True):
    """How a channel stands.

    Args:
        state: Whether it works.
        messages: How many went through it, either way.
        last_activity: When the last one did.
        sockets: How many browsers are there now; None where there are no sockets.
        detail: What people should know about it.
    """

    state: ChannelState
    messages: int = 0
    last_activity: datetime | None = None
    sockets: int | None = None
    detail: str = ""


class Channel(Struct, frozen=True, kw_only=True):
    """A channel of an account; `routes_to` is the agent whom those meet who name none."""

    name: str
    type: str
    is_enabled: bool
    standing: Standing
    routes_to: str | None


class Adapter(Protocol):
    """The way to one kind of channel: what another kind needs is one more of these."""

    @property
    def type(self) -> str:
        """Which kind: the part of a channel's name before its first dash."""
        ...

    async def standing(self, account_id: str, name: str) -> Standing:
        """Tell how one channel of this kind stands."""
        ...


def type_of(name: str) -> str:
    """Tell a channel's kind from its name: `discord-main` is a `discord`."""
    return name.partition("-")[0].lower()


def in_order(names: Sequence[str]) -> list[str]:
    """List the web first, which every account has, then the others."""
    return [WEB, *sorted(name for name in names if name != WEB)]
