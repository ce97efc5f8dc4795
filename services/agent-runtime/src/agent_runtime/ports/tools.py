"""What a tool is."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from agent_runtime.ports.agents import ToolPolicy

MAX_RESULT_BYTES = 64 * 1024
"""What a model is given to read of one result."""


class ToolSpec(Struct, frozen=True):
    """A tool as a model is told of it; `schema` is the JSON Schema of its arguments."""

    name: str
    description: str
    schema: Mapping[str, Any]


class ToolContext(Struct, frozen=True, kw_only=True):
    """On whose behalf a tool is called, and where."""

    account_id: str
    agent_id: str
    session_key: str
    run_id: str
    call_id: str
    workspace: Path


class Tool(Protocol):
    """Something that an agent can do."""

    @property
    def spec(self) -> ToolSpec:
        """What a model is told of it."""
        ...

    @property
    def policy(self) -> ToolPolicy:
        """What happens when an agent calls it whose own policies do not say."""
        ...

    async def call(self, arguments: str, context: ToolContext) -> str:
        """Do it; cancelling ends whatever it started.

        Raises:
            ToolError: It could not be done; the model is told why.
        """
        ...


class Toolbox(Protocol):
    """Finds what agents can do."""

    async def offered(self, account_id: str) -> Mapping[str, Tool]:
        """Find an account's tools by name."""
        ...

    def unknown(self, names: Iterable[str]) -> Sequence[str]:
        """Pick the names that no tool can have: neither one of ours, nor one that an MCP server may bring."""
        ...
