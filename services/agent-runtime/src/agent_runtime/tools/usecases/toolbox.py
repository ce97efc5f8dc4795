"""Every tool there is: our own, and those of an account's MCP servers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from agent_runtime.ports import Tool
from agent_runtime.tools.domain.servers import SEPARATOR
from agent_runtime.tools.errors import ToolNotFoundError


class ToolSource(Protocol):
    """Whoever has more tools for an account."""

    async def tools(self, account_id: str) -> Sequence[Tool]:
        """List them; a source that cannot be reached has none."""
        ...


class Toolbox:
    """The tools that agents of an account can be offered. It is the port `Toolbox`.

    Args:
        own: Those that everybody is offered.
        withheld: Those of ours that the operator does not allow here.
        sources: Whoever brings more.
    """

    def __init__(
        self, own: Sequence[Tool], *, withheld: Sequence[Tool] = (), sources: Sequence[ToolSource] = ()
    ) -> None:
        self._own = {tool.spec.name: tool for tool in own}
        self._names = {tool.spec.name for tool in (*own, *withheld)}
        self._sources = tuple(sources)

    @property
    def count(self) -> int:
        """How many tools of our own there are."""
        return len(self._own)

    async def offered(self, account_id: str) -> Mapping[str, Tool]:
        """Find an account's tools by name."""
        found = dict(self._own)
        for source in self._sources:
            found |= {tool.spec.name: tool for tool in await source.tools(account_id)}
        return found

    def unknown(self, names: Iterable[str]) -> Sequence[str]:
        """Pick the names that no tool can have: neither one of ours, nor one that an MCP server may bring."""
        return [name for name in names if name not in self._names and SEPARATOR not in name]

    async def find(self, account_id: str, name: str) -> Tool:
        """Find one of an account's tools.

        Raises:
            ToolNotFoundError: It can be offered none of this name.
        """
        offered = await self.offered(account_id)
        if name not in offered:
            raise ToolNotFoundError
        return offered[name]
