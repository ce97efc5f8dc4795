"""Agent pairings."""

from uuid import UUID

from litestar import Controller, delete, get, patch, post

from pairing.connections.controllers.access import WHO, Who
from pairing.connections.domain.pairings import AgentPairingStatus, Direction
from pairing.connections.schemas.connections import RejectedView
from pairing.connections.schemas.pairings import (
    AgentPairingConfirmedView,
    AgentPairingProposedView,
    AgentPairingRevokedView,
    AgentPairingsView,
    AgentPairingView,
    ChangePermission,
    ConfirmAgentPairing,
    PermissionChangedView,
    ProposeAgentPairing,
)
from pairing.connections.usecases.pairings import AgentPairings
from shoal.identity import Principal


class ConnectionPairingController(Controller):
    """Agent pairings under one connection."""

    path = "/connections/{connection_id:uuid}/pairings"
    tags = ("agent pairings",)

    @post("/", operation_id="proposeAgentPairing", summary="Propose to pair two agents")
    async def propose(
        self, connection_id: UUID, data: ProposeAgentPairing, agent_pairings: AgentPairings, principal: Principal
    ) -> AgentPairingProposedView:
        """Propose a pairing; nothing passes until the other side confirms it."""
        paired = await agent_pairings.propose(
            connection_id,
            mine=data.my_agent_id,
            theirs=data.their_agent_id,
            permission=data.permission,
            by=principal,
        )
        return AgentPairingProposedView.from_domain(paired, principal.account_id)

    @get("/", operation_id="listConnectionPairings", summary="List the agent pairings under a connection")
    async def list(self, connection_id: UUID, agent_pairings: AgentPairings, principal: Principal) -> AgentPairingsView:
        """List pairings of every status, newest first."""
        found = await agent_pairings.list_under(connection_id, by=principal)
        return AgentPairingsView.from_domain(found, principal.account_id)


class AgentPairingController(Controller):
    """Agent pairings of the caller's account, under all connections."""

    path = "/pairings"
    tags = ("agent pairings",)

    @get("/", operation_id="listAgentPairings", summary="List agent pairings", opt={WHO: Who.AGENT})
    async def list(
        self,
        agent_pairings: AgentPairings,
        principal: Principal,
        status: AgentPairingStatus | None = None,
        direction: Direction | None = None,
    ) -> AgentPairingsView:
        """List pairings, newest first; an agent sees its own."""
        found = await agent_pairings.list_for(status=status, direction=direction, by=principal)
        return AgentPairingsView.from_domain(found, principal.account_id)

    @get("/{pairing_id:uuid}", operation_id="getAgentPairing", summary="Show an agent pairing")
    async def show(self, pairing_id: UUID, agent_pairings: AgentPairings, principal: Principal) -> AgentPairingView:
        """Show one pairing."""
        return AgentPairingView.from_domain(await agent_pairings.get(pairing_id, by=principal), principal.account_id)

    @post(
        "/{pairing_id:uuid}/confirm",
        operation_id="confirmAgentPairing",
        summary="Agree to an agent pairing",
        status_code=200,
    )
    async def confirm(
        self,
        pairing_id: UUID,
        agent_pairings: AgentPairings,
        principal: Principal,
        data: ConfirmAgentPairing | None = None,
    ) -> AgentPairingConfirmedView:
        """Agree to what the other side proposed or changed; files may pass from now on."""
        meaning = data.permission if data else None
        return AgentPairingConfirmedView.from_domain(
            await agent_pairings.confirm(pairing_id, meaning=meaning, by=principal)
        )

    @patch("/{pairing_id:uuid}", operation_id="changePermission", summary="Want another permission")
    async def change(
        self, pairing_id: UUID, data: ChangePermission, agent_pairings: AgentPairings, principal: Principal
    ) -> PermissionChangedView:
        """Change the permission; nothing passes, either way, until the other side confirms."""
        changed = await agent_pairings.change(pairing_id, data.permission, by=principal)
        return PermissionChangedView.from_domain(changed, principal.account_id)

    @post(
        "/{pairing_id:uuid}/reject",
        operation_id="rejectAgentPairing",
        summary="Refuse an agent pairing",
        status_code=200,
    )
    async def reject(self, pairing_id: UUID, agent_pairings: AgentPairings, principal: Principal) -> RejectedView:
        """Refuse what the other side proposed or changed, which ends the pairing."""
        return RejectedView(str((await agent_pairings.reject(pairing_id, by=principal)).id))

    @delete(
        "/{pairing_id:uuid}",
        operation_id="revokeAgentPairing",
        summary="End an agent pairing",
        status_code=200,
        opt={WHO: Who.SESSION},
    )
    async def revoke(
        self, pairing_id: UUID, agent_pairings: AgentPairings, principal: Principal
    ) -> AgentPairingRevokedView:
        """End a pairing for good; only a signed-in user may."""
        revoked = await agent_pairings.revoke(pairing_id, by=principal)
        return AgentPairingRevokedView(str(revoked.id), revoked.status)
