"""What can be wrong with tools."""

from shoal.errors import ConflictError, ForbiddenError, NotFoundError


class ToolNotFoundError(NotFoundError):
    """There is no such tool."""

    code = "tool_not_found"


class ServerNotFoundError(NotFoundError):
    """There is no such MCP server."""

    code = "mcp_server_not_found"


class StdioNotAllowedError(ForbiddenError):
    """MCP servers that are programs may not be started here; the operator allows it (AGENT_RUNTIME_ALLOW_MCP_STDIO)."""

    code = "stdio_not_allowed"


class TooManyServersError(ConflictError):
    """There are as many MCP servers as there may be."""

    code = "too_many_mcp_servers"
