"""Gathering what a turn needs: who answers, with which model, told what, by which tools."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from agent_runtime.ports import (
    EVERY_TOOL,
    ActiveSkill,
    AgentProfile,
    Agents,
    Configuration,
    Defaults,
    Delegations,
    Memories,
    Message,
    ModelName,
    PromptMessage,
    Skills,
    Tool,
    Toolbox,
    ToolPolicy,
)
from agent_runtime.runs.domain.history import instructions, prompt_messages
from agent_runtime.runs.domain.runs import Run
from agent_runtime.runs.errors import AgentStoppedError
from agent_runtime.runs.usecases.pipeline import Pipeline, Stage

HISTORY_TOKENS = 60_000
MAX_TOKENS = 200_000
_MAX_FALLBACKS = 5
_MAX_RECALLED = 20
_MAX_NUMBER = 2**31


class TurnContext(Struct, frozen=True, kw_only=True):
    """Everything that a turn is done with."""

    agent: AgentProfile
    models: tuple[ModelName, ...]
    instructions: str
    history: tuple[PromptMessage, ...]
    tools: Mapping[str, Tool]
    policies: Mapping[str, ToolPolicy]
    max_tokens: int
    temperature: float
    complexity: float
    tier: int
    workspace: Path


class Assembly:
    """Sets the scene of a turn in the first three stages of the pipeline."""

    def __init__(
        self,
        *,
        agents: Agents,
        configuration: Configuration,
        skills: Skills,
        memories: Memories,
        delegations: Delegations,
        toolbox: Toolbox,
        workspaces: Path,
    ) -> None:
        self._agents = agents
        self._configuration = configuration
        self._skills = skills
        self._memories = memories
        self._delegations = delegations
        self._toolbox = toolbox
        self._workspaces = workspaces

    async def prepare(
        self, run: Run, messages: Sequence[Message], pipeline: Pipeline, *, agent: AgentProfile | None
    ) -> TurnContext:
        """Set the scene; the agent is looked for unless it is known.

        Raises:
            AgentNotFoundError: The agent is gone.
            AgentStoppedError: The agent is stopped.
        """
        async with pipeline.stage(Stage.CLASSIFIER):
            classified = await self._delegations.classify(run.content)
        async with pipeline.stage(Stage.ROUTER):
            agent = agent or await self._agents.get(run.account_id, run.agent_id)
            if not agent.is_running:
                raise AgentStoppedError
            defaults = await self._configuration.defaults(run.account_id)
            models = _models(run, agent, defaults)
        async with pipeline.stage(Stage.ASSEMBLER):
            skills = await self._skills.active(run.account_id, agent.skills) if agent.skills else ()
            tools, policies = await self._tools(run, agent, skills)
            recalled = await self._recalled(run, agent)
            return TurnContext(
                agent=agent,
                models=models,
                instructions=instructions(agent.instructions, run.instructions, recalled, skills=skills),
                history=prompt_messages(messages, max_tokens=HISTORY_TOKENS),
                tools=tools,
                policies=policies,
                max_tokens=max(1, min(_number(agent.config, "max_tokens", defaults.max_tokens, int), MAX_TOKENS)),
                temperature=max(0.0, min(_number(agent.config, "temperature", defaults.temperature, float), 2.0)),
                complexity=classified.complexity,
                tier=classified.tier,
                workspace=self._workspaces / run.account_id / run.agent_id,
            )

    async def _tools(
        self, run: Run, agent: AgentProfile, skills: Sequence[ActiveSkill]
    ) -> tuple[Mapping[str, Tool], Mapping[str, ToolPolicy]]:
        """Find the tools that this turn may use, and what each call of theirs means."""
        offered = await self._toolbox.offered(run.account_id)
        policies = {name: policy_of(tool, agent) for name, tool in offered.items()}
        allowed = _allowed(run, skills)
        usable = {
            name: tool
            for name, tool in offered.items()
            if policies[name] is not ToolPolicy.DENY and (allowed is None or name in allowed)
        }
        return usable, policies

    async def _recalled(self, run: Run, agent: AgentProfile) -> str:
        """Remember what has to do with the message, for agents that are configured to."""
        limit = _number(agent.config, "recall", 0, int)
        if limit <= 0:
            return ""
        found = await self._memories.search(run.account_id, run.content, threshold=0.4, limit=min(limit, _MAX_RECALLED))
        told = "\n".join(f"- {entry.key}: {entry.value}" for entry in found)
        return f"# What you remember\n\n{told}" if told else ""


def policy_of(tool: Tool, agent: AgentProfile) -> ToolPolicy:
    """Tell what a call of a tool by an agent means: as the agent says, else as the tool does."""
    return agent.tools.get(tool.spec.name) or agent.tools.get(EVERY_TOOL) or tool.policy


def _models(run: Run, agent: AgentProfile, defaults: Defaults) -> tuple[ModelName, ...]:
    """Name the model that answers, and those that stand in for it."""
    fallbacks = agent.config.get("fallback_models")
    named = [run.model or agent.model or defaults.model]
    named += [name for name in fallbacks if isinstance(name, str)] if isinstance(fallbacks, list) else []
    return tuple(ModelName.parse(name) for name in dict.fromkeys(named))[: _MAX_FALLBACKS + 1]


def _allowed(run: Run, skills: Sequence[ActiveSkill]) -> set[str] | None:
    """Name the tools that may be used at all; None: all."""
    lists = [skill.allowed_tools for skill in skills]
    by_skills = {name for names in lists if names for name in names} if lists and None not in lists else None
    if run.tools is None:
        return by_skills
    return set(run.tools) if by_skills is None else by_skills & set(run.tools)


def _number(config: Mapping[str, Any], name: str, default: Any, kind: type[Any]) -> Any:
    value = config.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    return kind(max(-_MAX_NUMBER, min(value, _MAX_NUMBER)))
