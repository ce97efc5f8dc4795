"""HTTP: settings and assignments, for admins."""

from litestar import Controller, get, put

from instance_orchestrator.schemas.assignments import AssignmentView, Done
from instance_orchestrator.schemas.settings import ChangeSettings, SettingsView
from instance_orchestrator.usecases.assignments import Assignments
from instance_orchestrator.usecases.settings import Settings
from shoal.http.auth import require_admin
from shoal.identity import Principal


class SettingsController(Controller):
    """What holds for every instance of the account."""

    path = "/api/v1/settings"
    tags = ("settings",)
    guards = (require_admin,)

    @get("/", operation_id="getSettings", summary="Show settings")
    async def show(self, settings: Settings, principal: Principal) -> SettingsView:
        """Show defaults, and keys masked."""
        return SettingsView.from_domain(await settings.get(principal.account_id))

    @put("/", operation_id="changeSettings", summary="Change settings")
    async def change(self, data: ChangeSettings, settings: Settings, principal: Principal) -> SettingsView:
        """Change what is given; a new key restarts the instances that have none of their own in its place."""
        changed = await settings.change(principal.account_id, defaults=data.defaults, given_keys=data.given_keys)
        return SettingsView.from_domain(changed)


class AssignmentController(Controller):
    """Which instances the account's users may use."""

    path = "/api/v1/users"
    tags = ("assignments",)
    guards = (require_admin,)

    @get("/{user_id:str}/instances", operation_id="getAssignment", summary="Show what a user may use")
    async def show(self, user_id: str, assignments: Assignments, principal: Principal) -> AssignmentView:
        """List the instances that are assigned to a user."""
        return AssignmentView(await assignments.get(user_id, account_id=principal.account_id))

    @put("/{user_id:str}/instances", operation_id="replaceAssignment", summary="Say what a user may use")
    async def replace(self, user_id: str, data: AssignmentView, assignments: Assignments, principal: Principal) -> Done:
        """Replace the whole list; what it does not name is withdrawn within five seconds, open streams included."""
        await assignments.replace(user_id, data.instance_ids, account_id=principal.account_id)
        return Done()
