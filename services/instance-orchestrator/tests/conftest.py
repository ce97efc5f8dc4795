"""Fixtures come from shoal.testing; here is a place for instances."""

import contextlib
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from orchestrator_door import Door, Open

from shoal.service import installed
from shoal.testing.servers import TestDatabases
from shoal.testing.suite import Suite


@pytest_asyncio.fixture
async def database_url(databases: TestDatabases) -> AsyncIterator[str]:
    """A database with the schemas of the services that these tests start."""
    url = await databases.make(
        [installed()[name] for name in ("gateway", "pairing", "telemetry-ingest", "instance-orchestrator")]
    )
    yield url
    await databases.drop(url)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """The installation's folder; whatever still runs there at the end is ended."""
    yield tmp_path
    for file in tmp_path.glob("instances/*/lock"):
        with contextlib.suppress(OSError, ValueError):
            os.killpg(int(file.read_text()), signal.SIGKILL)


@pytest_asyncio.fixture
async def open_door(suite: Suite, state: Path) -> Open:
    """Start the service, with an address on loopback that no other test has."""
    address = f"127.{random.randint(2, 250)}.{random.randint(0, 250)}.{random.randint(1, 250)}"

    async def make(*, is_idle: bool = False, **settings: str) -> Door:
        made = {
            "SHOAL_STATE": str(state),
            "SHOAL_NODE_ADDRESS": address,
            "INSTANCE_ORCHESTRATOR_ALONE_GRACE": "15s",
            "INSTANCE_ORCHESTRATOR_RESYNC": "5s",
            "INSTANCE_ORCHESTRATOR_SAMPLE_INTERVAL": "200ms",
            "SHOAL_DATABASE_POOL": "10",
        } | settings
        if is_idle:
            await _hold_lease(suite.database_url)
        return Door(suite, await suite.start("instance-orchestrator", **made), made)

    return make


@pytest_asyncio.fixture
async def idle(open_door: Open) -> Door:
    """The service while another replica reconciles, which it never does: rows stay as requests leave them."""
    return await open_door(is_idle=True)


@pytest_asyncio.fixture
async def door(open_door: Open) -> Door:
    """The service with local instances."""
    return await open_door()


async def _hold_lease(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            """
            insert into instance_orchestrator.lease (key, owner, epoch, expires_at)
            values ('reconciler', 'another replica', 1, 'infinity')
            """
        )
    finally:
        await connection.close()
