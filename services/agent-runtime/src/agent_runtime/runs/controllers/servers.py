"""HTTP: MCP servers."""

from typing import Annotated

from litestar import Controller, delete, get, put
from litestar.params import Parameter

from agent_runtime.runs.domain.servers import NAME_PATTERN
from agent_runtime.runs.schemas import PutServer, ServerView, Success
from agent_runtime.runs.usecases.servers import McpServers
from shoal.http.auth import require_admin, require_user
from shoal.identity import Principal

Name = Annotated[str, Parameter(pattern=NAME_PATTERN)]


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
