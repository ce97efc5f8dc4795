"""Sessions with MCP servers, by the protocol's own library.

Loading it takes a second and tens of megabytes: import this when a server is first used, and in a thread.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent

from agent_runtime.errors import ToolError
from agent_runtime.plain import PlainTransport
from agent_runtime.tools.clients.mcp.links import RemoteTool
from agent_runtime.tools.domain.servers import OpenServer
from shoal.outgoing import Outgoing

READ_S = 300.0
MAX_TOOLS = 200
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


class OpenSession:
    """An open session with a server, and the tools that it told of."""

    def __init__(self, client: Client, tools: Sequence[RemoteTool]) -> None:
        self._client = client
        self._broke = asyncio.Event()
        self.tools = tools

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Call a tool.

        Raises:
            ToolError: The server says that it failed, or cannot be reached any more.
        """
        try:
            result = await self._client.call_tool(name, dict(arguments))
        except Exception as error:
            if type(error).__name__ != "MCPError" or "closed" in str(error).lower():
                self._broke.set()
            raise ToolError(f"The server refused: {error}") from error
        if result.is_error:
            raise ToolError(_text(result))
        return _text(result)

    async def ended(self) -> None:
        """Wait until the session breaks."""
        await self._broke.wait()


@contextlib.asynccontextmanager
async def opened(server: OpenServer, outgoing: Outgoing) -> AsyncIterator[OpenSession]:
    """Open a session; its transport ends with it, and so does the program behind it."""
    async with contextlib.AsyncExitStack() as stack:
        if server.url:
            transport = await stack.enter_async_context(outgoing.transport())
            http = httpx2.AsyncClient(
                transport=PlainTransport(transport), headers=dict(server.secrets), timeout=READ_S, trust_env=False
            )
            await stack.enter_async_context(http)
            client = Client(streamable_http_client(server.url, http_client=http), read_timeout_seconds=READ_S)
        else:
            parameters = StdioServerParameters(
                command=server.command, args=list(server.arguments), env=dict(server.secrets)
            )
            quiet = stack.enter_context(Path(os.devnull).open("w"))  # noqa: ASYNC230, SIM115 - it never blocks; the stack closes it
            client = Client(stdio_client(parameters, errlog=quiet), read_timeout_seconds=READ_S)
        await stack.enter_async_context(client)
        yield OpenSession(client, await _tools(client))


async def _tools(client: Client) -> list[RemoteTool]:
    found: list[RemoteTool] = []
    cursor: str | None = None
    while len(found) < MAX_TOOLS:
        page = await client.list_tools(cursor=cursor)
        found += [
            RemoteTool(tool.name, tool.description or "", tool.input_schema)
            for tool in page.tools
            if tool.name and set(tool.name) <= _NAME
        ]
        cursor = page.next_cursor
        if cursor is None:
            break
    return found[:MAX_TOOLS]


def _text(result: CallToolResult) -> str:
    texts = [
        block.text if isinstance(block, TextContent) else f"({block.type} that cannot be shown)"
        for block in result.content
    ]
    if not texts and result.structured_content is not None:
        return msgspec.json.encode(result.structured_content).decode()
    return "\n".join(texts)
