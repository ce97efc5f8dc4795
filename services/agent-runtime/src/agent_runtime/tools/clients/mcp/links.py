"""Links to MCP servers: opened when their tools are first wanted, shared by turns, closed when nobody wants them.

A link is a task that holds the session, because the library wants a session closed by the task that opened it. A server
that cannot be reached has no tools for a while; turns do not wait for it again and again.
"""

import asyncio
import contextlib
import importlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import structlog
from msgspec import Struct

from agent_runtime.errors import ToolError
from agent_runtime.ports import Tool, ToolContext, ToolPolicy, ToolSpec
from agent_runtime.tools.domain.arguments import parse
from agent_runtime.tools.domain.servers import SEPARATOR, LinkState, OpenServer
from shoal.outgoing import Outgoing
from shoal.tasks import end

OPEN_S = 8.0
CALL_S = 300.0
IDLE_S = 600.0
FORGIVE_S = 15.0
_LOOK_S = 5.0
_CONNECTION = "agent_runtime.tools.clients.mcp.connection"

Directory = Callable[[str], Awaitable[Sequence[OpenServer]]]


class RemoteTool(Struct, frozen=True):
    """A tool as its server tells of it."""

    name: str
    description: str
    schema: Mapping[str, Any]


class Session(Protocol):
    """An open session with a server."""

    tools: Sequence[RemoteTool]

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Call a tool.

        Raises:
            ToolError: The server says that it failed, or cannot be reached any more.
        """
        ...

    async def ended(self) -> None:
        """Wait until the session breaks."""
        ...


class Link:
    """The link to one server as it was configured once."""

    def __init__(self, server: OpenServer, outgoing: Outgoing) -> None:
        self.server = server
        self._outgoing = outgoing
        self._holder: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[Session] | None = None
        self._failed_at = float("-inf")
        self._error = ""
        self.used_at = asyncio.get_running_loop().time()

    @property
    def state(self) -> LinkState:
        """How the server is reached just now."""
        opened, is_held = self._opened, self._holder is not None and not self._holder.done()
        if is_held and opened is not None and opened.done() and opened.exception() is None:
            return LinkState("connected", len(opened.result().tools))
        return LinkState("error", error=self._error) if self._error else LinkState()

    async def session(self) -> Session:
        """Give the session, opening it where there is none.

        Raises:
            ToolError: The server cannot be reached, or could not a moment ago.
        """
        now = self.used_at = asyncio.get_running_loop().time()
        if self._holder is None or self._holder.done():
            if now - self._failed_at < FORGIVE_S:
                raise ToolError(f"The server {self.server.name} cannot be reached: {self._error}")
            self._opened = asyncio.get_running_loop().create_future()
            self._holder = asyncio.create_task(self._hold(self._opened))
        assert self._opened is not None  # noqa: S101 - it came with the holder
        try:
            async with asyncio.timeout(OPEN_S):
                return await asyncio.shield(self._opened)
        except TimeoutError:
            self._fail("it does not answer")
            await self.close()
            raise ToolError(f"The server {self.server.name} does not answer.") from None

    async def close(self) -> None:
        """Close the session."""
        if self._holder is not None:
            await end([self._holder])

    async def _hold(self, opened: "asyncio.Future[Session]") -> None:
        try:
            connection = await asyncio.to_thread(importlib.import_module, _CONNECTION)
            async with connection.opened(self.server, self._outgoing) as session:
                self._error = ""
                if not opened.done():
                    opened.set_result(session)
                await session.ended()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever the library raises, groups of errors too
            self._fail(_told(error))
        finally:
            if not opened.done():
                opened.set_exception(ToolError(f"The server {self.server.name} cannot be reached: {self._error}"))
                opened.exception()  # nobody may be waiting

    def _fail(self, why: str) -> None:
        self._failed_at = asyncio.get_running_loop().time()
        self._error = why
        structlog.get_logger().warning("mcp_server_failed", server=self.server.name, reason=why)


class McpTool:
    """A tool of a server, named `<server>__<tool>`."""

    def __init__(self, link: Link, tool: RemoteTool) -> None:
        self._link = link
        self._tool = tool
        self.spec = ToolSpec(f"{link.server.name}{SEPARATOR}{tool.name}"[:64], tool.description[:1024], tool.schema)
        self.policy = ToolPolicy.ASK

    async def call(self, arguments: str, _context: ToolContext) -> str:
        """Have the server do it.

        Raises:
            ToolError: The server cannot be reached, or says that it failed.
        """
        told = parse(arguments, dict[str, Any])
        session = await self._link.session()
        try:
            async with asyncio.timeout(CALL_S):
                return await session.call(self._tool.name, told)
        except TimeoutError:
            raise ToolError(f"The server {self._link.server.name} did not answer in time.") from None


class McpLinks:
    """The source of tools of MCP servers, and the component that closes what is not used."""

    name = "mcp links"

    def __init__(self, directory: Directory, outgoing: Outgoing) -> None:
        self._directory = directory
        self._outgoing = outgoing
        self._links: dict[tuple[str, str], Link] = {}
        self._looked: dict[str, tuple[float, Sequence[OpenServer]]] = {}

    def problem(self) -> str | None:
        """Servers that are away do not make the service unable to answer."""
        return None

    def forget(self, account_id: str) -> None:
        """Look anew which servers an account has."""
        self._looked.pop(account_id, None)

    def state(self, account_id: str, name: str) -> LinkState:
        """Tell how a server is reached just now."""
        link = self._links.get((account_id, name))
        return link.state if link is not None else LinkState()

    async def tools(self, account_id: str) -> Sequence[Tool]:
        """List the tools of the account's servers; those of servers that cannot be reached are left out."""
        servers = await self._servers(account_id)
        if not servers:
            return ()
        links = [await self._link(server) for server in servers]
        sessions = await asyncio.gather(*(link.session() for link in links), return_exceptions=True)
        return [
            McpTool(link, tool)
            for link, session in zip(links, sessions, strict=True)
            if not isinstance(session, BaseException)
            for tool in session.tools
        ]

    async def run(self) -> None:
        """Close links that nobody used for a while; all of them at the end."""
        try:
            while True:
                await asyncio.sleep(IDLE_S / 10)
                now = asyncio.get_running_loop().time()
                for key, link in [*self._links.items()]:
                    if now - link.used_at > IDLE_S:
                        del self._links[key]
                        await link.close()
        finally:
            for link in self._links.values():
                with contextlib.suppress(Exception):
                    await link.close()

    async def _servers(self, account_id: str) -> Sequence[OpenServer]:
        now = asyncio.get_running_loop().time()
        looked_at, servers = self._looked.get(account_id, (float("-inf"), ()))
        if now - looked_at > _LOOK_S:
            servers = await self._directory(account_id)
            self._looked[account_id] = (now, servers)
        return servers

    async def _link(self, server: OpenServer) -> Link:
        key = (server.account_id, server.name)
        link = self._links.get(key)
        if link is None or link.server != server:
            self._links[key] = Link(server, self._outgoing)
            if link is not None:
                await link.close()
        return self._links[key]


def _told(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__} {error}".strip()[:300]
