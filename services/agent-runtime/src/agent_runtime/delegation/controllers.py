"""HTTP: the contract's paths."""

from typing import Annotated

from litestar import Controller, delete, get, patch
from litestar.params import Parameter

from agent_runtime.delegation.domain.tasks import ActiveDelegation
from agent_runtime.delegation.schemas import HistoryView, PutRule, RuleDeleted, RuleView
from agent_runtime.delegation.usecases.delegations import Delegations
from agent_runtime.delegation.usecases.rules import Rules
from shoal.http.auth import require_admin, require_user
from shoal.identity import Principal

MAX_LISTED = 200

Part = Annotated[str, Parameter(max_length=128)]
Offset = Annotated[int, Parameter(ge=0, le=1_000_000)]
HistoryLimit = Annotated[int, Parameter(ge=1, le=1_000_000)]


class DelegationController(Controller):
    """Who does which kind of work, and what was handed on."""

    path = "/api/delegation"
    tags = ("delegation",)
    guards = (require_user,)

    @get("/active", operation_id="listActiveDelegations", summary="List what goes on")
    async def active(self, delegations: Delegations, principal: Principal) -> list[ActiveDelegation]:
        """List work that was handed on and is not done, oldest first."""
        return await delegations.active(principal.account_id)

    @get("/history", operation_id="listDelegationHistory", summary="List what was handed on")
    async def history(
        self,
        delegations: Delegations,
        principal: Principal,
        session: Part = "",
        target: Part = "",
        offset: Offset = 0,
        limit: HistoryLimit = 50,
    ) -> HistoryView:
        """Page through all work that was handed on, the newest first; a page holds 200 at most.

        `session` and `target` leave those whose session or target holds these texts.
        """
        bounded = min(limit, MAX_LISTED)
        page = await delegations.history(
            principal.account_id, session=session, target=target, offset=offset, limit=bounded
        )
        return HistoryView.from_domain(page, limit=bounded, offset=offset)

    @get("/rules", operation_id="listDelegationRules", summary="List rules")
    async def rules(self, delegation_rules: Rules, principal: Principal) -> list[RuleView]:
        """List the account's rules in the order of deciding."""
        return [RuleView.from_domain(rule) for rule in await delegation_rules.list_for(principal.account_id)]

    @patch("/rules", operation_id="putDelegationRule", summary="Add or change a rule", guards=[require_admin])
    async def put(self, data: PutRule, delegation_rules: Rules, principal: Principal) -> RuleView:
        """Change the rule of this name, or add it."""
        return RuleView.from_domain(await delegation_rules.put(principal.account_id, data.name, data.changes))

    @delete(
        "/rules/{name:path}", operation_id="deleteDelegationRule", summary="Delete a rule", guards=[require_admin],
        status_code=200,
    )  # fmt: skip
    async def remove(self, name: str, delegation_rules: Rules, principal: Principal) -> RuleDeleted:
        """Delete a rule."""
        bare = name.removeprefix("/")
        await delegation_rules.remove(principal.account_id, bare)
        return RuleDeleted(bare)
