"""Answers about channels."""

from datetime import datetime

from msgspec import Struct

from agent_runtime.channels.domain import Channel


class ChannelView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An item of `GET /api/channels`."""

    name: str
    type: str
    status: str
    message_count: int
    enabled: bool
    last_activity: datetime | None = None
    routes_to: str | None = None
    sockets: int | None = None
    detail: str | None = None

    @classmethod
    def from_domain(cls, channel: Channel) -> "ChannelView":
        """Show a channel."""
        standing = channel.standing
        return cls(
            name=channel.name,
            type=channel.type,
            status=standing.state,
            message_count=standing.messages,
            enabled=channel.is_enabled,
            last_activity=standing.last_activity,
            routes_to=channel.routes_to,
            sockets=standing.sockets,
            detail=standing.detail or None,
        )
