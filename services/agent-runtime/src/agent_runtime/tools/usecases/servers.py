"""Keeping MCP servers, whose secrets are sealed."""

import re
from collections.abc import Mapping, Sequence

import msgspec

from agent_runtime import quotas
from agent_runtime.tools.clients.mcp.links import McpLinks
from agent_runtime.tools.domain.servers import LinkState, McpServer, OpenServer, SealedServer
from agent_runtime.tools.errors import ServerNotFoundError, StdioNotAllowedError, TooManyServersError
from agent_runtime.tools.repositories import SEALED, ServerRepository
from shoal.crypto import Envelope
from shoal.database import Database, Transaction
from shoal.errors import FieldProblem, ValidationError
from shoal.outgoing import Outgoing

MAX_SERVERS = 20
_OF_THE_CONNECTION = frozenset(
    (
        *("connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "proxy-authenticate"),
        *("proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    )
)
"""Headers by which a request is framed and finds its way: whoever sends it writes them."""
_VALUE = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")
"""What HTTP takes for the value of a header: printable, without blanks around it."""


class Directory:
    """Which servers an account uses, with their secrets opened."""

    def __init__(self, *, database: Database, envelope: Envelope) -> None:
        self._database = database
        self._envelope = envelope

    async def enabled(self, account_id: str) -> Sequence[OpenServer]:
        """List the servers that the account uses."""
        async with self._database.reading() as database:
            servers = await ServerRepository(database).enabled(account_id)
        return [self._opened(server) for server in servers]

    def _opened(self, server: SealedServer) -> OpenServer:
        secrets: dict[str, str] = {}
        if server.secrets is not None:
            plain = self._envelope.open(server.secrets, place=place_of(server.account_id, server.name))
            secrets = msgspec.json.decode(plain, type=dict[str, str])
        return OpenServer(
            account_id=server.account_id,
            name=server.name,
            url=server.url,
            command=server.command,
            arguments=server.arguments,
            secrets=secrets,
            version=server.version,
        )


class McpServers:
    """The MCP servers of accounts."""

    def __init__(
        self, *, database: Database, envelope: Envelope, outgoing: Outgoing, links: McpLinks, is_stdio_allowed: bool
    ) -> None:
        self._database = database
        self._envelope = envelope
        self._outgoing = outgoing
        self._links = links
        self._is_stdio_allowed = is_stdio_allowed

    async def list(self, account_id: str) -> Sequence[tuple[McpServer, LinkState]]:
        """List the account's servers, and how each is reached just now."""
        async with self._database.reading() as database:
            servers = await ServerRepository(database).list(account_id)
        return [(server, self._links.state(account_id, server.name)) for server in servers]

    async def put(self, server: McpServer, secrets: Mapping[str, str] | None) -> None:
        """Keep a server in place of what was there; without secrets those that are there stay, where they may.

        Raises:
            ValidationError: One of its headers cannot be sent, or is not anybody's to set.
            StdioNotAllowedError: It is a program, and programs may not be started here.
            OutgoingRefusedError: Its address may not be called.
            TooManyServersError: The account has as many as it may have.
        """
        if server.command and not self._is_stdio_allowed:
            raise StdioNotAllowedError
        if server.url:
            _check_headers(secrets or {})
            await self._outgoing.check(server.url)
        sealed = None
        if secrets:
            place = place_of(server.account_id, server.name)
            sealed = self._envelope.seal(msgspec.json.encode(dict(secrets)), place=place)
        async with self._database.transaction() as tx:
            repository = ServerRepository(tx)
            await quotas.hold(tx, server.account_id, "mcp_server")
            before = await repository.find(server.account_id, server.name)
            await repository.put(server, sealed=sealed, is_keeping=secrets is None and server.keeps_secrets(before))
            if await repository.count(server.account_id) > MAX_SERVERS:
                raise TooManyServersError
        self._links.forget(server.account_id)

    async def remove(self, account_id: str, name: str) -> None:
        """Forget a server.

        Raises:
            ServerNotFoundError: There is none of this name.
        """
        async with self._database.transaction() as tx:
            if not await ServerRepository(tx).delete(account_id, name):
                raise ServerNotFoundError
        self._links.forget(account_id)

    async def erase(self, tx: Transaction, account_id: str) -> None:
        """Erase the servers of an account that is no more."""
        await ServerRepository(tx).erase(account_id)


def _check_headers(headers: Mapping[str, str]) -> None:
    found = ((name, _problem(name, value)) for name, value in headers.items())
    if problems := [FieldProblem(f"headers.{name}", problem) for name, problem in found if problem]:
        raise ValidationError("These headers cannot be sent.", details=problems)


def _problem(name: str, value: str) -> str:
    if name.lower() in _OF_THE_CONNECTION:
        return "belongs to the connection, which writes it itself"
    return "" if _VALUE.fullmatch(value) else "printable ASCII characters, without blanks around them"


def place_of(account_id: str, name: str) -> str:
    """Name where a server's secrets are stored: they open nowhere else."""
    return SEALED.place.format(account_id=account_id, name=name)
