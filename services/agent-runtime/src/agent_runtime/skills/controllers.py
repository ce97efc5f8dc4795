"""HTTP: the contract's paths and what Shoal adds to them."""

from typing import Annotated

from litestar import Controller, delete, get, patch, post
from litestar.params import Parameter

from agent_runtime.skills.schemas import (
    InstallSkill,
    RegistrySkills,
    SkillDetailView,
    SkillsChanged,
    SkillView,
    SwitchSkill,
)
from agent_runtime.skills.usecases import Skills
from shoal.http.auth import require_admin, require_user
from shoal.identity import Principal

Asked = Annotated[str, Parameter(query="q", max_length=200)]


class SkillController(Controller):
    """The account's skills, and where more come from."""

    path = "/api/skills"
    tags = ("skills",)
    guards = (require_user,)

    @get("/", operation_id="listSkills", summary="List installed skills")
    async def show_all(self, installed: Skills, principal: Principal) -> list[SkillView]:
        """List the account's skills by name."""
        return [SkillView.from_domain(skill) for skill in await installed.list_for(principal.account_id)]

    @get("/registry/search", operation_id="searchSkillRegistry", summary="Search for skills")
    async def search(self, installed: Skills, asked: Asked = "") -> RegistrySkills:
        """List what can be installed, the best match first; everything without `q`."""
        return await installed.search(asked)

    @post(
        "/install", operation_id="installSkill", summary="Install a skill", guards=[require_admin], status_code=200
    )  # fmt: skip
    async def install(self, data: InstallSkill, installed: Skills, principal: Principal) -> SkillsChanged:
        """Install a package by the id that the search told, in place of a skill of its name."""
        await installed.install(principal.account_id, data.id)
        return SkillsChanged()

    @get("/{name:str}", operation_id="getSkill", summary="Show a skill")
    async def show(self, name: str, installed: Skills, principal: Principal) -> SkillDetailView:
        """Show a skill with what its agents are told."""
        return SkillDetailView.from_domain(await installed.get(principal.account_id, name))

    @patch("/{name:str}", operation_id="switchSkill", summary="Switch a skill on or off", guards=[require_admin])
    async def switch(self, name: str, data: SwitchSkill, installed: Skills, principal: Principal) -> SkillView:
        """Switch a skill; from the next turn on its agents are told of it, or no longer."""
        return SkillView.from_domain(await installed.enable(principal.account_id, name, is_enabled=data.enabled))

    @delete(
        "/{name:str}", operation_id="uninstallSkill", summary="Uninstall a skill", guards=[require_admin],
        status_code=200,
    )  # fmt: skip
    async def remove(self, name: str, installed: Skills, principal: Principal) -> SkillsChanged:
        """Uninstall a skill."""
        await installed.uninstall(principal.account_id, name)
        return SkillsChanged()
