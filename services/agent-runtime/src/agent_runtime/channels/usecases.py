"""Channels: what there is, how it stands, and telling browsers when that changes."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog

from agent_runtime.channels.domain import (
    WEB,
    WEB_ORIGINS,
    Adapter,
    Channel,
    ChannelState,
    Standing,
    in_order,
    type_of,
)
from agent_runtime.errors import AgentNotFoundError
from agent_runtime.ports import Agents, ChannelSwitches, Frame, Frames, LiveSockets, Said, Topic, Traffics
from shoal.errors import UnavailableError

FRAME = "channel_status"
GATHER_S = 0.5
REST = 20
"""How many times as long as it looked a watch rests: looking takes longer the more an account has said."""


class WebAdapter:
    """The web itself: browsers that hold sockets, in whichever process, and messages that came from them."""

    type = WEB

    def __init__(self, sockets: LiveSockets, traffics: Traffics) -> None:
        self._sockets = sockets
        self._traffics = traffics

    async def standing(self, account_id: str, name: str) -> Standing:  # noqa: ARG002 - there is one web
        """Count the account's sockets and the messages that came over them; connected while there is a socket."""
        sockets = await self._sockets.count(account_id)
        traffic = await self._traffics.traffic(account_id, WEB_ORIGINS)
        return Standing(
            state=ChannelState.CONNECTED if sockets else ChannelState.DISCONNECTED,
            messages=traffic.messages,
            last_activity=traffic.last_at,
            sockets=sockets,
        )


class Channels:
    """Lists channels.

    Args:
        adapters: One per kind that works here; a channel of any other kind is listed and says that it does not.
    """

    def __init__(self, switches: ChannelSwitches, agents: Agents, adapters: Sequence[Adapter]) -> None:
        self._switches = switches
        self._agents = agents
        self._adapters: Mapping[str, Adapter] = {adapter.type: adapter for adapter in adapters}

    async def list_for(self, account_id: str) -> Sequence[Channel]:
        """List the web and whatever else the account configured."""
        switches = await self._switches.channels(account_id)
        agent = await self._first_agent(account_id)
        return [
            Channel(
                name=name,
                type=type_of(name),
                is_enabled=switches.get(name, name == WEB),
                standing=await self._standing(account_id, name),
                routes_to=agent,
            )
            for name in in_order(list(switches))
        ]

    async def _standing(self, account_id: str, name: str) -> Standing:
        adapter = self._adapters.get(type_of(name))
        if adapter is None:
            detail = f"This installation has no adapter for {type_of(name)}."
            return Standing(state=ChannelState.DISCONNECTED, detail=detail)
        return await adapter.standing(account_id, name)

    async def _first_agent(self, account_id: str) -> str | None:
        try:
            return (await self._agents.get(account_id, "")).name
        except AgentNotFoundError:
            return None


class ChannelWatch:
    """Tells browsers of a change of the web channel, at most twice a second per account."""

    name = "channel watch"

    def __init__(self, web: WebAdapter, frames: Frames) -> None:
        self._web = web
        self._frames = frames
        self._due: set[str] = set()
        self._told: dict[str, Standing] = {}
        self._wake = asyncio.Event()

    def problem(self) -> str | None:
        """Nothing here makes the service unable to answer."""
        return None

    def note(self, account_id: str) -> None:
        """Look at an account within half a second; it may be named again meanwhile."""
        self._due.add(account_id)
        self._wake.set()

    async def run(self) -> None:
        """Tell every half second, or less often, of the accounts that were noted, while the database answers."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_S)
            self._wake.clear()
            due, self._due = self._due, set()
            began = loop.time()
            for account_id in due:
                try:
                    await self._tell(account_id)
                except UnavailableError as error:
                    structlog.get_logger().info("channel_not_told", error=error.code)
            await asyncio.sleep(REST * (loop.time() - began))

    async def _tell(self, account_id: str) -> None:
        standing = await self._web.standing(account_id, WEB)
        if self._told.get(account_id) == standing:
            return
        self._told[account_id] = standing
        if not standing.sockets:
            del self._told[account_id]  # nobody is there to be told again
        await self._frames.publish(Frame(account_id, Topic.CHANNELS, FRAME, _told(standing)))


class NotedFrames:
    """The way to browsers, which has the web channel looked at after a message."""

    def __init__(self, frames: Frames, watch: ChannelWatch) -> None:
        self._frames = frames
        self._watch = watch

    async def publish(self, frame: Frame) -> None:
        """Send a frame; after a message of the web, have its channel looked at."""
        await self._frames.publish(frame)
        if frame.topic == Topic.CHAT_MESSAGE and Said.of(frame).origin in WEB_ORIGINS:
            self._watch.note(frame.account_id)


def _told(standing: Standing) -> dict[str, Any]:
    payload = {"name": WEB, "type": WEB, "status": str(standing.state), "message_count": standing.messages}
    last = standing.last_activity
    return payload | {"sockets": standing.sockets} | ({"last_activity": msgspec.to_builtins(last)} if last else {})
