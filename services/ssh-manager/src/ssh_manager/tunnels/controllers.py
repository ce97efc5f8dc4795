"""HTTP: the tunnels of an instance."""

from litestar import Controller, get

from shoal.http.auth import require_user
from shoal.identity import Principal
from ssh_manager.tunnels.schemas import TunnelList
from ssh_manager.tunnels.usecases import Tunnels


class TunnelController(Controller):
    """Tunnels of the instances that the caller may use."""

    path = "/api/v1/instances/{instance_id:str}/tunnels"
    tags = ("ssh",)
    guards = (require_user,)

    @get("/", operation_id="getTunnels", summary="Show an instance's tunnels")
    async def show(self, instance_id: str, tunnels: Tunnels, principal: Principal) -> TunnelList:
        """List the tunnels, as the last look at them found them."""
        return TunnelList.from_domain(await tunnels.list_for(instance_id, by=principal))
