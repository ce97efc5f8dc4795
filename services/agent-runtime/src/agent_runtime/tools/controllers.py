"""HTTP: tools, and the MCP servers that bring more of them."""

from typing import Annotated, Any

from litestar import Controller, delete, get, put
from litestar.params import Parameter

from agent_runtime.tools.domain.servers import NAME_PATTERN
from agent_runtime.tools.schemas import PutServer, ServerView, Success, ToolView
from agent_runtime.tools.usecases.servers import McpServers
from agent_runtime.tools.usecases.toolbox import Toolbox
from shoal.http.auth import require_admin, require_user
from shoal.identity import Principal

Name = Annotated[str, Parameter(pattern=NAME_PATTERN)]


class ToolController(Controller):
    """What agents can do."""

    path = "/api/tools"
    tags = ("tools",)
    guards = (require_user,)

    @get("/", operation_id="listTools", summary="List tools")
    async def list(self, principal: Principal, toolbox: Toolbox) -> list[ToolView]:
        """List the tools that the account's agents can be offered, by name."""
        offered = await toolbox.offered(principal.account_id)
        return [
            ToolView(name=name, description=tool.spec.description, schema=dict(tool.spec.schema), policy=tool.policy)
            for name, tool in sorted(offered.items())
        ]

    @get("/{name:str}/schema", operation_id="getToolSchema", summary="Show what a tool takes")
    async def schema(self, name: str, principal: Principal, toolbox: Toolbox) -> dict[str, Any]:
        """Give the JSON Schema of a tool's arguments."""
        tool = await toolbox.find(principal.account_id, name)
        return dict(tool.spec.schema)


class McpServerController(Controller):
    """Where more tools come from."""

    path = "/api/mcp-servers"
    tags = ("tools",)
    guards = (require_user,)

    @get("/", operation_id="listMcpServers", summary="List MCP servers")
    async def list(self, principal: Principal, mcp_servers: McpServers) -> list[ServerView]:
        """List the account's MCP servers, and how each is reached just now."""
        return [ServerView.from_domain(server, state) for server, state in await mcp_servers.list(principal.account_id)]

    @put("/{name:str}", operation_id="putMcpServer", summary="Keep an MCP server", guards=[require_admin])
    async def keep(self, name: Name, data: PutServer, principal: Principal, mcp_servers: McpServers) -> Success:
        """Keep a server: `url` and `headers`, or `command`, `args` and `env`. Headers and variables are never shown."""
        await mcp_servers.put(data.to_server(principal.account_id, name), data.secrets)
        return Success()

    @delete(
        "/{name:str}", operation_id="deleteMcpServer", summary="Forget an MCP server", guards=[require_admin],
        status_code=200,
    )  # fmt: skip
    async def remove(self, name: Name, principal: Principal, mcp_servers: McpServers) -> Success:
        """Forget a server; its tools are offered no more."""
        await mcp_servers.remove(principal.account_id, name)
        return Success()
