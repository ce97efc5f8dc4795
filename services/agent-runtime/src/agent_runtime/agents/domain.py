"""What an agent is."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

FIRST_AGENT = "agent_general"
"""The id of the agent that every account has from its first moment on."""


class AgentStatus(StrEnum):
    """Whether an agent answers: running, or stopped by people. `error` is the contract's; nothing here sets it."""

    RUNNING = "running"
    STOPPED = "stopped"
    ERROR = "error"


class Agent(Struct, frozen=True, kw_only=True):
    """Somebody to talk to: a model, and what it is told and given."""

    id: str
    account_id: str
    name: str
    description: str
    status: AgentStatus
    model: str
    instructions: str
    skills: tuple[str, ...]
    tools: Mapping[str, str]
    config: Mapping[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class AgentDraft(Struct, frozen=True, kw_only=True):
    """An agent that is to be.

    Args:
        id: Its id, unique within the account; empty: one is made.
        name: What people call it.
        model: `provider/model`; empty: the account's default.
        description: For people.
        instructions: What it is told before every turn.
        skills: The skills that it is given, by name.
        tools: Policies by tool name where they differ from the tool's own; `*` stands for all others.
        config: The rest of its configuration, as people wrote it.
    """

    id: str = ""
    name: str
    model: str = ""
    description: str = ""
    instructions: str = ""
    skills: tuple[str, ...] = ()
    tools: Mapping[str, str] = {}
    config: Mapping[str, Any] = {}


class AgentChange(Struct, frozen=True, kw_only=True):
    """What is to change of an agent; None leaves a field as it is."""

    name: str | None = None
    description: str | None = None
    model: str | None = None
    instructions: str | None = None
    skills: tuple[str, ...] | None = None
    tools: Mapping[str, str] | None = None
    config: Mapping[str, Any] | None = None


def first_agent(model: str) -> AgentDraft:
    """Describe the agent that an account begins with."""
    return AgentDraft(
        id=FIRST_AGENT,
        name="general-agent",
        model=model,
        description="Answers without any provider until it is given a model of one.",
        instructions="You are a helpful assistant. Answer briefly; use tools where they help.",
    )
