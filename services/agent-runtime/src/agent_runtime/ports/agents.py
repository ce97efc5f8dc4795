"""Who answers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

from shoal.database import Transaction

EVERY_TOOL = "*"
"""In an agent's policies: every tool that they do not name."""


class ToolPolicy(StrEnum):
    """What happens when an agent calls a tool."""

    AUTO = "auto"
    ASK = "ask"
    DENY = "deny"


class AgentProfile(Struct, frozen=True, kw_only=True):
    """An agent as a turn needs to know it.

    Args:
        id: Unique within the account.
        account_id: Whose it is.
        name: What people call it.
        is_running: Whether it answers at all.
        model: `provider/model`, such as `offline/rules`.
        instructions: What it is told before every turn.
        skills: The skills that it was given, by name.
        tools: Policies by tool name where they differ from the tool's own; `*` stands for all others.
        config: The rest of its configuration, as people wrote it.
    """

    id: str
    account_id: str
    name: str
    is_running: bool
    model: str
    instructions: str
    skills: tuple[str, ...]
    tools: Mapping[str, ToolPolicy]
    config: Mapping[str, Any]


class Agents(Protocol):
    """Finds the agents of an account."""

    async def get(self, account_id: str, agent_id: str) -> AgentProfile:
        """Find an agent; the account's first one for an empty id.

        Raises:
            AgentNotFoundError: There is none.
        """
        ...

    async def within(self, tx: Transaction, account_id: str, agent_id: str) -> AgentProfile:
        """Find an agent as `get` does, inside a transaction.

        Raises:
            AgentNotFoundError: There is none.
        """
        ...

    async def hold(self, tx: Transaction, account_id: str, agent_id: str) -> None:
        """See that there is an agent, and that it stays until the commit.

        Raises:
            AgentNotFoundError: There is none.
        """
        ...


class Births(Protocol):
    """Tells since when agents are, also deleted ones."""

    async def born(self, tx: Transaction, account_id: str, agent_id: str) -> datetime | None:
        """Tell since when there is an agent, or was; None if there never was one."""
        ...


class Departures(Protocol):
    """Tells which agents and accounts are no more."""

    async def agents(self, account_id: str, agent_ids: Sequence[str]) -> Sequence[str]:
        """Tell which of an account's agents were deleted."""
        ...

    async def accounts(self, account_ids: Sequence[str]) -> Sequence[str]:
        """Tell which accounts are no more."""
        ...
