"""The service as its callers meet it: an account with an admin and a user, and another account."""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

from shoal.identity import Role
from shoal.installation import Installation
from shoal.service import installed
from shoal.testing.servers import TestDatabases, nats_server
from shoal.testing.suite import ServiceUnderTest, Suite, eventually, user
from shoal_events import AccountCreated

ADMIN = user("acct_1", "user_admin", role=Role.ADMIN)
ALICE = user("acct_1", "user_alice")
STRANGER = user("acct_2", "user_stranger", role=Role.ADMIN)


class Door:
    """The service, as its callers meet it."""

    def __init__(self, suite: Suite, service: ServiceUnderTest, state: Path) -> None:
        self.suite = suite
        self.service = service
        self.state = state
        self.admin = service.client(ADMIN)
        self.alice = service.client(ALICE)
        self.stranger = service.client(STRANGER)
        self.nobody = service.client()

    async def meet(self, *account_ids: str) -> None:
        """Tell of accounts, as the gateway does, and wait until each has its first agent."""
        for account_id in account_ids:
            told = AccountCreated(account_id=account_id, name=account_id, version=1)
            await self.suite.publish(told, event_id=str(uuid4()))

        async def are_known() -> bool:
            rows = await self.sql("select account_id from agent where account_id = any($1)", list(account_ids))
            return len(rows) == len(account_ids)

        await eventually(are_known)

    async def sql(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Look at the service's own tables."""
        async with self._tables() as connection:
            return await connection.fetch(statement, *arguments)

    @contextlib.asynccontextmanager
    async def held(self, statement: str, *arguments: Any) -> AsyncIterator[None]:
        """Hold what a statement locks, as somebody slow does."""
        async with self._tables() as connection, connection.transaction():
            await connection.execute(statement, *arguments)
            yield

    @contextlib.asynccontextmanager
    async def _tables(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self.suite.database_url)
        try:
            await connection.execute("set search_path to agent_runtime")
            yield connection
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def door_of(
    databases: TestDatabases, installation: Installation, settings: Mapping[str, str]
) -> AsyncIterator[Door]:
    """Run the service with a database, NATS and folder of its own while the block runs."""
    url = await databases.make([installed()["agent-runtime"]])
    with tempfile.TemporaryDirectory() as folder:
        async with nats_server() as nats_url:
            suite = Suite(databases=databases, database_url=url, nats_url=nats_url, installation=installation)
            yield Door(suite, await suite.start("agent-runtime", SHOAL_STATE=folder, **settings), Path(folder))
            await suite.close()
    await databases.drop(url)
