"""Agents over HTTP."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from agent_runtime.agents.domain import Agent, AgentChange, AgentDraft
from agent_runtime.ports import ToolPolicy
from shoal.errors import FieldProblem, ValidationError
from shoal.ids import TOKEN_PATTERN

Name = Annotated[str, Meta(min_length=1, max_length=128)]
AgentId = Annotated[str, Meta(pattern=TOKEN_PATTERN)]
Model = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*\Z")]
SkillName = Annotated[str, Meta(min_length=1, max_length=64)]
ToolName = Annotated[str, Meta(pattern=r"^(\*|[A-Za-z0-9_-]{1,64})\Z")]
Skills = Annotated[tuple[SkillName, ...], Meta(max_length=64)]
Text = Annotated[str, Meta(max_length=64 * 1024)]

_CONFIG: Mapping[str, Any] = {
    "max_tokens": Annotated[int, Meta(ge=1, le=1_000_000)] | None,
    "temperature": Annotated[float, Meta(ge=0, le=2)] | None,
    "fallback_models": Annotated[tuple[Model, ...], Meta(max_length=5)] | None,
    "recall": Annotated[int, Meta(ge=0, le=20)] | None,
}
"""What is read of an agent's `config`; all else in it is the account's own, and kept."""


class CreateAgent(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/agents`; without `model` the account's default one."""

    name: Name
    id: AgentId | None = None
    description: Annotated[str, Meta(max_length=2000)] = ""
    model: Model | None = None
    instructions: Text = ""
    skills: Skills = ()
    tools: dict[ToolName, ToolPolicy] = {}
    config: dict[str, Any] = {}

    def to_draft(self) -> AgentDraft:
        """Make the draft that this describes.

        Raises:
            ValidationError: Its `config` says something that cannot be.
        """
        _check_config(self.config)
        return AgentDraft(
            id=self.id or "",
            name=self.name,
            model=self.model or "",
            description=self.description,
            instructions=self.instructions,
            skills=self.skills,
            tools=self.tools,
            config=self.config,
        )


class ChangeAgent(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PATCH /api/agents/{id}`; what is absent stays."""

    name: Name | None = None
    description: Annotated[str, Meta(max_length=2000)] | None = None
    model: Model | None = None
    instructions: Text | None = None
    skills: Skills | None = None
    tools: dict[ToolName, ToolPolicy] | None = None
    config: dict[str, Any] | None = None

    def to_change(self) -> AgentChange:
        """Make the change that this describes.

        Raises:
            ValidationError: Its `config` says something that cannot be.
        """
        _check_config(self.config or {})
        return AgentChange(**{name: getattr(self, name) for name in self.__struct_fields__})


class AgentSummary(Struct, frozen=True, kw_only=True):
    """An item of `GET /api/agents`."""

    id: str
    name: str
    status: str
    model: str
    created_at: datetime

    @classmethod
    def from_domain(cls, agent: Agent) -> "AgentSummary":
        """Show an agent."""
        return cls(id=agent.id, name=agent.name, status=agent.status, model=agent.model, created_at=agent.created_at)


class AgentDetail(AgentSummary, frozen=True, kw_only=True):
    """Answer of `GET /api/agents/{id}`, and of making and changing one."""

    config: Mapping[str, Any]
    session_count: int
    description: str
    skills: tuple[str, ...]
    instructions: str
    tools: Mapping[str, str]
    updated_at: datetime

    @classmethod
    def from_counted(cls, agent: Agent, session_count: int) -> "AgentDetail":
        """Show an agent with how many sessions it has."""
        return cls(
            id=agent.id,
            name=agent.name,
            status=agent.status,
            model=agent.model,
            created_at=agent.created_at,
            config=agent.config,
            session_count=session_count,
            description=agent.description,
            skills=agent.skills,
            instructions=agent.instructions,
            tools=agent.tools,
            updated_at=agent.updated_at,
        )


class AgentDone(Struct, frozen=True):
    """Answer of starting, stopping and deleting an agent."""

    ok: bool = True


def _check_config(config: Mapping[str, Any]) -> None:
    """Refuse what could only be ignored.

    Raises:
        ValidationError: Something is of another kind, or beyond its bounds.
    """
    problems = []
    for name in _CONFIG.keys() & config.keys():
        try:
            msgspec.convert(config[name], _CONFIG[name])
        except msgspec.ValidationError as error:
            problems.append(FieldProblem(f"config.{name}", str(error)))
    if problems:
        problems.sort(key=lambda problem: problem.field)
        sentence = "; ".join(f"{problem.field}: {problem.message}" for problem in problems)
        raise ValidationError(sentence, details=problems)
