"""An MCP server for tests, by the protocol's own library: `mcp_server.py stdio`, or `mcp_server.py <port>`."""

import os
import sys

from mcp.server import MCPServer

server = MCPServer("tested")


@server.tool()
def add(one: int, other: int) -> int:
    """Add two numbers."""
    return one + other


@server.tool()
def greeting() -> str:
    """Tell what the environment says."""
    return os.environ.get("GREETING", "none")


@server.tool()
def fail() -> str:
    """Fail."""
    raise ValueError("it failed")


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run("stdio")
    else:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
