"""Fixtures for every distribution's tests."""

import contextlib
import importlib
import importlib.metadata
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings as property_settings

from shoal.installation import Installation
from shoal.service import GROUP, installed
from shoal.testing.servers import TestDatabases, nats_server, postgres
from shoal.testing.suite import Suite

EVERY_SERVICE = (
    "gateway",
    "pairing",
    "telemetry-ingest",
    "metrics-query",
    "agent-runtime",
    "instance-orchestrator",
    "ssh-manager",
)

# a busy machine is no counterexample
property_settings.register_profile("shoal", deadline=None, suppress_health_check=[HealthCheck.too_slow])
property_settings.load_profile("shoal")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Import every service's package before any conftest: pytest would take the folder `gateway` for the package."""
    for point in importlib.metadata.entry_points(group=GROUP):
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(point.module.partition(".")[0])


@pytest.fixture(scope="session")
def installation() -> Installation:
    """Credentials of a made-up installation."""
    with tempfile.TemporaryDirectory() as folder:
        return Installation.open(Path(folder) / "installation.json", EVERY_SERVICE)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def databases(installation: Installation) -> AsyncIterator[TestDatabases]:
    """One PostgreSQL server for the whole run."""
    async with postgres() as url:
        yield TestDatabases(url, installation)


@pytest_asyncio.fixture
async def database_url(databases: TestDatabases) -> AsyncIterator[str]:
    """A database of the test's own in which every installed service's schema is up to date; its admin URL."""
    url = await databases.make(list(installed().values()))
    yield url
    await databases.drop(url)


@pytest_asyncio.fixture
async def nats_url() -> AsyncIterator[str]:
    """A NATS server of the test's own."""
    async with nats_server() as url:
        yield url


@pytest_asyncio.fixture
async def suite(
    databases: TestDatabases, database_url: str, nats_url: str, installation: Installation
) -> AsyncIterator[Suite]:
    """Services to start in front of this test's own servers."""
    made = Suite(databases=databases, database_url=database_url, nats_url=nats_url, installation=installation)
    yield made
    await made.close()
