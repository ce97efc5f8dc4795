"""Fixtures come from shoal.testing."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest_asyncio

from metrics_query.usecases.rollups import Rollups
from metrics_query.usecases.samples import Samples
from shoal.clock import SystemClock
from shoal.database import Database
from shoal.service import installed
from shoal.testing.servers import TestDatabases
from shoal.testing.suite import ServiceUnderTest, Suite, eventually, user
from shoal_events import PairingConfirmed


@pytest_asyncio.fixture
async def database_url(databases: TestDatabases) -> AsyncIterator[str]:
    """A database with the schemas of the services that are started here."""
    url = await databases.make([installed()[name] for name in ("pairing", "metrics-query")])
    yield url
    await databases.drop(url)


@pytest_asyncio.fixture
async def database(suite: Suite) -> AsyncIterator[Database]:
    url = suite.environment()["METRICS_QUERY_DATABASE_URL"]
    made = Database(url, schema="metrics_query", pool_size=5)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def samples(database: Database) -> Samples:
    return Samples(database=database, clock=SystemClock(), minutes_kept=timedelta(days=31))


@pytest_asyncio.fixture
async def rollups(database: Database) -> Rollups:
    return Rollups(database=database)


@pytest_asyncio.fixture
async def metrics(suite: Suite) -> ServiceUnderTest:
    """The service, with an agent `agent_1` of `acct_1`; pairing, which would complete the copy, does not run."""
    quickly = {"METRICS_QUERY_ROLLUP_EVERY": "200ms", "METRICS_QUERY_ROLLUP_AFTER": "500ms"}
    service = await suite.start("metrics-query", until_ready=False, **quickly)
    bus = service.running.resources.bus
    await eventually(lambda: bus.problem() is None, bus.problem)
    confirmed = PairingConfirmed(
        pairing_id="pair_1",
        account_id="acct_1",
        user_id="user_1",
        name="Production",
        agent_id="agent_1",
        telemetry_token_sha256="0" * 64,
        confirmed_at=datetime(2026, 1, 1, tzinfo=UTC),
        version=2,
    )
    await suite.publish(confirmed, event_id=str(uuid4()))
    client = service.client(user("acct_1"))

    async def knows_the_agent() -> bool:
        return (await client.get("/telemetry/metrics/agent_1")).status_code == 200

    await eventually(knows_the_agent)
    return service
