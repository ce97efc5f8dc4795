"""Connections and blocks."""

from uuid import UUID

from litestar import Controller, delete, get, post

from pairing.connections.controllers.access import WHO, Who
from pairing.connections.domain.connections import Shown
from pairing.connections.schemas.agents import OfferedAgentsView, OfferedAgentView
from pairing.connections.schemas.connections import (
    AcceptedView,
    BlockedView,
    BlocksView,
    BlockView,
    ConnectionRevokedView,
    ConnectionsView,
    ConnectionView,
    Invite,
    InvitedView,
    RejectedView,
    UnblockedView,
)
from pairing.connections.usecases.connections import Connections
from shoal.identity import Principal


class ConnectionController(Controller):
    """Connections of the caller's account with others."""

    path = "/connections"
    tags = ("connections",)

    @post("/", operation_id="inviteAccount", summary="Invite an account by an address")
    async def invite(self, data: Invite, connections: Connections, principal: Principal) -> InvitedView:
        """Invite whoever has the address, now or one day; ten invites an hour."""
        return InvitedView.from_domain(await connections.invite(data.email, data.message, by=principal))

    @get("/", operation_id="listConnections", summary="List connections and invites", opt={WHO: Who.AGENT})
    async def list(self, connections: Connections, principal: Principal, status: Shown = Shown.ALL) -> ConnectionsView:
        """List what has not ended, newest first."""
        found = await connections.list_for(principal.account_id, status)
        return ConnectionsView.from_domain(found, principal.account_id)

    @get("/{connection_id:uuid}", operation_id="getConnection", summary="Show a connection")
    async def show(self, connection_id: UUID, connections: Connections, principal: Principal) -> ConnectionView:
        """Show one connection, even if it has ended."""
        return ConnectionView.from_domain(await connections.get(connection_id, by=principal), principal.account_id)

    @get(
        "/{connection_id:uuid}/agents",
        operation_id="listOfferedAgents",
        summary="List the agents that the other account offers",
    )
    async def agents(self, connection_id: UUID, connections: Connections, principal: Principal) -> OfferedAgentsView:
        """List the other account's agents that are available for connections."""
        found = await connections.agents_of_other(connection_id, by=principal)
        return OfferedAgentsView([OfferedAgentView.from_domain(agent) for agent in found])

    @post("/{connection_id:uuid}/accept", operation_id="acceptConnection", summary="Accept an invite", status_code=200)
    async def accept(self, connection_id: UUID, connections: Connections, principal: Principal) -> AcceptedView:
        """Trust the account that sent the invite."""
        accepted = await connections.accept(connection_id, by=principal)
        return AcceptedView(str(accepted.id), accepted.status)

    @post("/{connection_id:uuid}/reject", operation_id="rejectConnection", summary="Reject an invite", status_code=200)
    async def reject(self, connection_id: UUID, connections: Connections, principal: Principal) -> RejectedView:
        """Delete the invite; the inviter is not told."""
        await connections.reject(connection_id, by=principal)
        return RejectedView(str(connection_id))

    @delete("/{connection_id:uuid}", operation_id="deleteConnection", summary="End a connection", status_code=200)
    async def remove(
        self, connection_id: UUID, connections: Connections, principal: Principal
    ) -> ConnectionRevokedView:
        """End the connection with every pairing under it, or take an invite back."""
        return ConnectionRevokedView(str(connection_id), await connections.remove(connection_id, by=principal))

    @post(
        "/{connection_id:uuid}/block", operation_id="blockAccount", summary="Block the other account", status_code=200
    )
    async def block(self, connection_id: UUID, connections: Connections, principal: Principal) -> BlockedView:
        """End what connects the two; neither can invite the other until the block is lifted."""
        return BlockedView.from_domain(await connections.block(connection_id, by=principal))


class BlockController(Controller):
    """Accounts that the caller's account has blocked."""

    path = "/blocked"
    tags = ("connections",)

    @get("/", operation_id="listBlocks", summary="List blocked accounts")
    async def list(self, connections: Connections, principal: Principal) -> BlocksView:
        """List blocks, newest first."""
        found = await connections.list_blocks(principal.account_id)
        return BlocksView([BlockView.from_domain(block) for block in found])

    @delete("/{block_id:uuid}", operation_id="unblockAccount", summary="Lift a block", status_code=200)
    async def unblock(self, block_id: UUID, connections: Connections, principal: Principal) -> UnblockedView:
        """Lift a block; nothing that it ended comes back."""
        return UnblockedView(await connections.unblock(block_id, by=principal))
