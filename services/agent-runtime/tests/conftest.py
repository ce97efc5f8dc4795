"""Fixtures come from shoal.testing; here is the service as its callers meet it."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from runtime_door import Door, door_of

from shoal.installation import Installation
from shoal.service import installed
from shoal.testing.servers import TestDatabases
from shoal.testing.suite import Suite, free_port

Open = Callable[..., Awaitable[Door]]


@pytest_asyncio.fixture
async def database_url(databases: TestDatabases) -> AsyncIterator[str]:
    """A database with the schema of this service alone."""
    url = await databases.make([installed()["agent-runtime"]])
    yield url
    await databases.drop(url)


@pytest_asyncio.fixture
async def open_door(suite: Suite, tmp_path: Path) -> Open:
    """Start the service with settings of the test's own; a second call starts a second replica."""

    async def make(**settings: str) -> Door:
        made = {
            "SHOAL_STATE": str(tmp_path),
            "AGENT_RUNTIME_PORT": str(free_port()),
            "AGENT_RUNTIME_RUN_LEASE": "2s",
        } | settings
        return Door(suite, await suite.start("agent-runtime", **made), tmp_path)

    return make


@pytest_asyncio.fixture
async def door(open_door: Open) -> Door:
    """The service."""
    return await open_door()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_door(
    request: pytest.FixtureRequest, databases: TestDatabases, installation: Installation
) -> AsyncIterator[Door]:
    """One service for a whole module, whose tests each bring accounts of their own; `SETTINGS` of the module count."""
    settings = {
        "AGENT_RUNTIME_ALLOW_EXEC_SHELL": "true",
        "AGENT_RUNTIME_CRON_LEAST_PAUSE": "1s",
        "AGENT_RUNTIME_DELEGATION_SWEEP": "200ms",
    } | getattr(request.module, "SETTINGS", {})
    async with door_of(databases, installation, settings) as door:
        yield door
