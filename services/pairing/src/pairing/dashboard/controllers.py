"""HTTP: the contract's paths and what Shoal adds to them."""

from typing import Annotated

from litestar import Controller, delete, get, patch, post
from litestar.params import Parameter

from pairing.dashboard.schemas import (
    ConfirmPairing,
    HistoryView,
    HoldPairing,
    OpenPairing,
    PairingConfirmedView,
    PairingDeletedView,
    PairingHeldView,
    PairingOpenedView,
    PairingsView,
    PairingView,
    RenamePairing,
    TelemetryTokenView,
)
from pairing.dashboard.usecases.pairings import Pairings
from shoal.copies import ExportedFact
from shoal.http.auth import require_permitted_service, require_user
from shoal.http.pagination import Page
from shoal.identity import Principal


class PairingController(Controller):
    """Pairings of the caller's account; confirming needs no more than the token."""

    path = "/pairing"
    tags = ("pairing",)

    @post("/init", operation_id="openPairing", summary="Open a pairing", status_code=200, guards=[require_user])
    async def open(
        self, pairings: Pairings, principal: Principal, data: OpenPairing | None = None
    ) -> PairingOpenedView:
        """Make a token that one agent can redeem within half an hour."""
        opened = await pairings.open((data or OpenPairing()).name, by=principal)
        return PairingOpenedView.from_domain(opened)

    @post("/confirm", operation_id="confirmPairing", summary="Redeem a pairing token", status_code=200)
    async def confirm(self, data: ConfirmPairing, pairings: Pairings, principal: Principal) -> PairingConfirmedView:
        """Bind an agent to the pairing that the token opened; the token itself is the credential."""
        confirmed = await pairings.confirm(
            data.token,
            agent_id=data.agent_id,
            handle=data.handle,
            info=data.instance_info,
            source=principal.source,
        )
        return PairingConfirmedView.from_domain(confirmed)

    @get("/", operation_id="listPairings", summary="List the account's pairings", guards=[require_user])
    async def list(self, pairings: Pairings, principal: Principal) -> PairingsView:
        """List pending and confirmed pairings, oldest first."""
        return PairingsView.from_domain(await pairings.list_for(principal.account_id))

    @get("/{pairing_id:str}", operation_id="getPairing", summary="Show a pairing", guards=[require_user])
    async def show(self, pairing_id: str, pairings: Pairings, principal: Principal) -> PairingView:
        """Show one pairing of the account."""
        return PairingView.from_domain(await pairings.get(pairing_id, account_id=principal.account_id))

    @patch("/{pairing_id:str}", operation_id="renamePairing", summary="Rename a pairing", guards=[require_user])
    async def rename(
        self, pairing_id: str, data: RenamePairing, pairings: Pairings, principal: Principal
    ) -> PairingView:
        """Give a pairing another name."""
        return PairingView.from_domain(await pairings.rename(pairing_id, data.name, by=principal))

    @post(
        "/{pairing_id:str}/telemetry-token",
        operation_id="reissueTelemetryToken",
        summary="Replace an agent's telemetry token",
        status_code=200,
        guards=[require_user],
    )
    async def reissue(self, pairing_id: str, pairings: Pairings, principal: Principal) -> TelemetryTokenView:
        """Make a new telemetry token; the old one is refused within five seconds."""
        return TelemetryTokenView(pairing_id, await pairings.reissue_token(pairing_id, by=principal))

    @get(
        "/{pairing_id:str}/history",
        operation_id="getPairingHistory",
        summary="Who did what",
        guards=[require_user],
    )
    async def history(self, pairing_id: str, pairings: Pairings, principal: Principal) -> HistoryView:
        """Tell who opened, confirmed and changed a pairing, from which address."""
        return HistoryView(await pairings.history(pairing_id, account_id=principal.account_id))

    @delete(
        "/{pairing_id:str}",
        operation_id="deletePairing",
        summary="End a pairing",
        status_code=200,
        guards=[require_user],
    )
    async def remove(self, pairing_id: str, pairings: Pairings, principal: Principal) -> PairingDeletedView:
        """Cut the agent off the dashboard; the agent itself keeps running."""
        await pairings.remove(pairing_id, by=principal)
        return PairingDeletedView(deleted=True, id=pairing_id)


class InternalController(Controller):
    """What other services may ask."""

    path = "/internal"
    guards = (require_permitted_service,)
    include_in_schema = False

    @post("/pairings", operation_id="holdPairing", status_code=200)
    async def hold(self, data: HoldPairing, pairings: Pairings) -> PairingHeldView:
        """Open a pairing under an id of the caller's choice, or give its token anew; repeating changes no outcome."""
        held = await pairings.hold(data.pairing_id, account_id=data.account_id, user_id=data.user_id, name=data.name)
        return PairingHeldView.from_domain(held)

    @get("/export", operation_id="exportPairings")
    async def export(
        self, pairings: Pairings, after: str = "", limit: Annotated[int, Parameter(ge=1, le=1000)] = 500
    ) -> Page[ExportedFact]:
        """List every pairing that was ever confirmed and still matters, ended ones included."""
        return await pairings.export(after, limit)
