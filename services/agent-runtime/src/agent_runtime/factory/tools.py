"""What agents can do."""

from collections.abc import Callable
from functools import cached_property

from agent_runtime.agents.usecases import Departures
from agent_runtime.config import Config
from agent_runtime.tools.clients.asking import Asking
from agent_runtime.tools.clients.files import file_tools
from agent_runtime.tools.clients.mcp.links import McpLinks
from agent_runtime.tools.clients.shell import shell_tools
from agent_runtime.tools.clients.web import Web
from agent_runtime.tools.clients.workspace import Workspaces
from agent_runtime.tools.usecases.clearing import Clearing
from agent_runtime.tools.usecases.servers import Directory, McpServers
from agent_runtime.tools.usecases.toolbox import Toolbox
from shoal.crypto import Envelope
from shoal.outgoing import Outgoing
from shoal.resources import Resources


class ToolFactory:
    """Makes tools, and where they come from.

    Args:
        resources: The process's.
        outgoing: What may be reached.
        envelope: Seals what MCP servers are shown.
        asking: Makes tools that ask other subjects.
    """

    def __init__(
        self, resources: Resources[Config], *, outgoing: Outgoing, envelope: Envelope, asking: Callable[[], Asking]
    ) -> None:
        self.resources = resources
        self.outgoing = outgoing
        self.envelope = envelope
        self._asking = asking

    @cached_property
    def toolbox(self) -> Toolbox:
        """All tools of this process: its own, and those of MCP servers."""
        own = [*file_tools(), *Web(self.outgoing).tools(), *self._asking().tools()]
        if self.resources.config.allow_exec_shell:
            return Toolbox([*own, *shell_tools()], sources=[self.mcp_links])
        return Toolbox(own, withheld=shell_tools(), sources=[self.mcp_links])

    @cached_property
    def mcp_links(self) -> McpLinks:
        """The links of this process to MCP servers."""
        directory = Directory(database=self.resources.database, envelope=self.envelope)
        return McpLinks(directory.enabled, self.outgoing)

    def mcp_servers(self) -> McpServers:
        """Make what lists and changes the MCP servers of accounts."""
        return McpServers(
            database=self.resources.database,
            envelope=self.envelope,
            outgoing=self.outgoing,
            links=self.mcp_links,
            is_stdio_allowed=self.resources.config.allow_mcp_stdio,
        )

    def clearing(self) -> Clearing:
        """Make what removes the folders of agents that are no more."""
        workspaces = Workspaces(self.resources.config.state / "workspaces")
        return Clearing(departures=Departures(self.resources.database), workspaces=workspaces)
