"""Tools over HTTP, and the servers that bring more of them."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from agent_runtime.tools.domain.servers import LinkState, McpServer
from shoal.errors import ValidationError

HeaderName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,128}\Z")]
HeaderValue = Annotated[str, Meta(max_length=8192, pattern=r"^[^\r\n\x00]*\Z")]


class ToolView(Struct, frozen=True, kw_only=True):
    """A tool; `policy` is what a call means to agents that do not say otherwise."""

    name: str
    description: str
    schema: dict[str, Any]
    policy: str


class PutServer(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PUT /api/mcp-servers/{name}`: `url` and `headers`, or `command`, `args` and `env`."""

    url: Annotated[str, Meta(max_length=2048)] = ""
    headers: dict[HeaderName, HeaderValue] | None = None
    command: Annotated[str, Meta(max_length=1024)] = ""
    args: Annotated[list[Annotated[str, Meta(max_length=4096)]], Meta(max_length=64)] = []
    env: dict[Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}\Z")], HeaderValue] | None = None
    enabled: bool = True

    @property
    def secrets(self) -> dict[str, str] | None:
        """What is not to be shown again; None where it stays as it is."""
        return self.headers if self.url else self.env

    def to_server(self, account_id: str, name: str) -> McpServer:
        """Make the server that this describes.

        Raises:
            ValidationError: It has both an address and a command, or neither.
        """
        if bool(self.url) == bool(self.command):
            raise ValidationError("Give either `url` or `command`.")
        return McpServer(
            account_id=account_id,
            name=name,
            url=self.url,
            command=self.command,
            arguments=tuple(self.args),
            secret_names=tuple(sorted(self.secrets or ())),
            is_enabled=self.enabled,
            version=1,
        )


class ServerView(Struct, frozen=True, kw_only=True):
    """An MCP server; of its headers or variables only the names."""

    name: str
    transport: str
    url: str
    command: str
    args: list[str]
    header_names: list[str]
    env_names: list[str]
    enabled: bool
    status: str
    tool_count: int
    error: str

    @classmethod
    def from_domain(cls, server: McpServer, state: LinkState) -> "ServerView":
        """Show a server."""
        names = list(server.secret_names)
        return cls(
            name=server.name,
            transport="http" if server.url else "stdio",
            url=server.url,
            command=server.command,
            args=list(server.arguments),
            header_names=names if server.url else [],
            env_names=[] if server.url else names,
            enabled=server.is_enabled,
            status=state.status if server.is_enabled else "disabled",
            tool_count=state.tool_count,
            error=state.error,
        )


class Success(Struct, frozen=True):
    """It is done."""

    success: bool = True
