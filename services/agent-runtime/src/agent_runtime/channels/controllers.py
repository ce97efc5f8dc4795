"""HTTP: channels."""

from litestar import Controller, get

from agent_runtime.channels.schemas import ChannelView
from agent_runtime.channels.usecases import Channels
from shoal.http.auth import require_user
from shoal.identity import Principal


class ChannelController(Controller):
    """The ways by which people reach the account's agents."""

    path = "/api/channels"
    tags = ("channels",)
    guards = (require_user,)

    @get("/", operation_id="listChannels", summary="List channels")
    async def list_all(self, channel_list: Channels, principal: Principal) -> list[ChannelView]:
        """List channels and how they stand."""
        return [ChannelView.from_domain(channel) for channel in await channel_list.list_for(principal.account_id)]
