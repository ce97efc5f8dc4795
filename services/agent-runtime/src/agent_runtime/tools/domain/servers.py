"""What an MCP server is."""

from collections.abc import Mapping

from msgspec import Struct

NAME_PATTERN = r"^[a-z0-9][a-z0-9-]{0,31}\Z"
"""What a server may be called."""
SEPARATOR = "__"
"""Stands in the names of servers' tools: `<server>__<tool>`."""


class McpServer(Struct, frozen=True, kw_only=True):
    """A server of tools, by address or by command, without its secrets."""

    account_id: str
    name: str
    url: str
    command: str
    arguments: tuple[str, ...]
    secret_names: tuple[str, ...]
    is_enabled: bool
    version: int

    def keeps_secrets(self, before: "McpServer | None") -> bool:
        """Tell whether stored secrets may stay: never beyond the address, or the program, that they were stored for."""
        return before is not None and _shown_to(self) == _shown_to(before)


class SealedServer(Struct, frozen=True, kw_only=True):
    """A server with its secrets as they are stored."""

    account_id: str
    name: str
    url: str
    command: str
    arguments: tuple[str, ...]
    secrets: bytes | None
    version: int


class OpenServer(Struct, frozen=True, kw_only=True):
    """A server with its secrets opened: headers where it has an address, variables where it is a program."""

    account_id: str
    name: str
    url: str
    command: str
    arguments: tuple[str, ...]
    secrets: Mapping[str, str]
    version: int


class LinkState(Struct, frozen=True):
    """How a server is reached just now: `connected`, `disconnected` (nobody asked lately) or `error`."""

    status: str = "disconnected"
    tool_count: int = 0
    error: str = ""


def _shown_to(server: McpServer) -> tuple[str, str, tuple[str, ...]]:
    return server.url, server.command, server.arguments
