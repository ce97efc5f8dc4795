"""Rows of `mcp_server`."""

from collections.abc import Sequence

from agent_runtime.tools.domain.servers import McpServer, SealedServer
from shoal.database import Transaction
from shoal.resealing import SealedColumn

SEALED = SealedColumn("mcp_server", "secrets", "agent_runtime/mcp_server/{account_id}/{name}/secrets")
"""What is sealed here, in its places."""


class ServerRepository:
    """MCP servers."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def list(self, account_id: str) -> Sequence[McpServer]:
        """Read the account's servers by name."""
        return await self._tx.all(
            McpServer,
            """
            select account_id, name, url, command, arguments, secret_names, is_enabled, version
              from mcp_server
             where account_id = $1
             order by name
            """,
            account_id,
        )

    async def find(self, account_id: str, name: str) -> McpServer | None:
        """Read a server."""
        return await self._tx.find(
            McpServer,
            """
            select account_id, name, url, command, arguments, secret_names, is_enabled, version
              from mcp_server
             where account_id = $1 and name = $2
            """,
            *(account_id, name),
        )

    async def enabled(self, account_id: str) -> Sequence[SealedServer]:
        """Read the account's servers that are to be used."""
        return await self._tx.all(
            SealedServer,
            """
            select account_id, name, url, command, arguments, secrets, version
              from mcp_server
             where account_id = $1 and is_enabled
             order by name
            """,
            account_id,
        )

    async def put(self, server: McpServer, *, sealed: bytes | None, is_keeping: bool) -> None:
        """Write a server in place of what was there; its secrets too, unless those that are there shall stay."""
        await self._tx.execute(
            """
            insert into mcp_server as known (account_id, name, url, command, arguments, secrets, secret_names,
                                             is_enabled)
            values ($1, $2, $3, $4, $5, $6, $7, $8)
                on conflict (account_id, name) do update
               set url = excluded.url, command = excluded.command, arguments = excluded.arguments,
                   is_enabled = excluded.is_enabled, version = known.version + 1, updated_at = now(),
                   secrets = case when $9 then known.secrets else excluded.secrets end,
                   secret_names = case when $9 then known.secret_names else excluded.secret_names end
            """,
            *(server.account_id, server.name, server.url, server.command, list(server.arguments)),
            *(sealed, list(server.secret_names), server.is_enabled, is_keeping),
        )

    async def count(self, account_id: str) -> int:
        """Count the account's servers."""
        found: int = await self._tx.value("select count(*) from mcp_server where account_id = $1", account_id)
        return found

    async def delete(self, account_id: str, name: str) -> bool:
        """Delete a server; False when there was none."""
        return bool(
            await self._tx.execute("delete from mcp_server where account_id = $1 and name = $2", account_id, name)
        )

    async def erase(self, account_id: str) -> None:
        """Delete an account's servers."""
        await self._tx.execute("delete from mcp_server where account_id = $1", account_id)
