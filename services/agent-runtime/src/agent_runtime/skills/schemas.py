"""What comes in and what goes out, in the contract's words."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from agent_runtime.skills.domain.registries import InstalledSkill, Offer


class SkillView(Struct, frozen=True, kw_only=True):
    """The contract's `SkillData`."""

    name: str
    version: str
    description: str
    author: str
    tags: list[str]
    installed: bool
    enabled: bool

    @classmethod
    def from_domain(cls, skill: InstalledSkill) -> "SkillView":
        """Show a skill."""
        return cls(
            name=skill.name,
            version=skill.version,
            description=skill.description,
            author=skill.author,
            tags=skill.tags,
            installed=True,
            enabled=skill.is_enabled,
        )


class SkillDetailView(SkillView, frozen=True, kw_only=True):
    """A skill with what its agents are told."""

    instructions: str
    allowed_tools: list[str] | None
    """Which tools may be used for it; null: all of the agent's own."""
    source: str
    installed_at: datetime

    @classmethod
    def from_domain(cls, skill: InstalledSkill) -> "SkillDetailView":
        """Show a skill whole."""
        return cls(
            name=skill.name,
            version=skill.version,
            description=skill.description,
            author=skill.author,
            tags=skill.tags,
            installed=True,
            enabled=skill.is_enabled,
            instructions=skill.instructions,
            allowed_tools=skill.allowed_tools,
            source=skill.source,
            installed_at=skill.installed_at,
        )


class InstallSkill(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/skills/install`."""

    id: Annotated[str, Meta(min_length=1, max_length=128)]


class SwitchSkill(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PATCH /api/skills/{name}`."""

    enabled: bool


class SkillsChanged(Struct, frozen=True):
    """Answer of installing and uninstalling."""

    success: bool = True


RegistrySkills = list[Offer]
"""The contract's `RegistrySkill[]`: what is offered is shown as it is."""
