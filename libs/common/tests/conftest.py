"""A toy service's database and NATS server, both real, and its parts that stand on them."""

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import nats
import psutil
import pytest
import pytest_asyncio
from nats.aio.client import Client

from shoal import deliveries
from shoal.database import Database
from shoal.installation import Installation, as_role
from shoal.leases import Leases
from shoal.messaging import Bus
from shoal.outbox import Bell, Outbox, Relay
from shoal.subscriptions import Handlers, Subscriber, Subscription
from shoal.telemetry import Metrics, Tracing
from shoal.testing.servers import TestDatabases
from shoal_embedded.nats import EmbeddedNats
from shoal_embedded.postgres import EmbeddedPostgres
from shoal_events import PairingRenamed

from .relaying import CHANNEL
from .things import build
from .toy import TOY, Door, at_work, keep, open_door, toy_service, until


@pytest.fixture(scope="session")
def credentials() -> Installation:
    with tempfile.TemporaryDirectory() as folder:
        return Installation.open(Path(folder) / "installation.json", ["toy", "gateway", "pairing"])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def toy_databases(databases: TestDatabases, credentials: Installation) -> TestDatabases:
    return TestDatabases(databases.admin_url, credentials)


@pytest_asyncio.fixture
async def admin_url(toy_databases: TestDatabases) -> AsyncIterator[str]:
    """A database of the test's own, as superuser."""
    url = await toy_databases.make([TOY])
    yield url
    await toy_databases.drop(url)


@pytest.fixture
def working_url(admin_url: str, credentials: Installation) -> str:
    """The same database as the toy's working role."""
    return as_role(admin_url, "toy", credentials.services["toy"].database_password)


@pytest_asyncio.fixture
async def database(working_url: str) -> AsyncIterator[Database]:
    made = Database(working_url, schema="toy")
    yield made
    await made.close()


@pytest_asyncio.fixture
async def nats_at_hand(tmp_path: Path) -> AsyncIterator[EmbeddedNats]:
    """A NATS server that may be stopped and started."""
    server = EmbeddedNats(tmp_path / "nats", sync_always=False)
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture
async def bus(nats_at_hand: EmbeddedNats) -> AsyncIterator[Bus]:
    """A connection with its streams ready."""
    made = Bus(nats_at_hand.url, name="test")
    async with at_work(made.run()):
        await until(lambda: made.problem() is None)
        yield made
        await made.close()


@pytest_asyncio.fixture
async def admin(nats_at_hand: EmbeddedNats) -> AsyncIterator[Client]:
    """A connection of ours to the same server, which may everything."""
    client = await nats.connect(nats_at_hand.url, reconnect_time_wait=0.05, max_reconnect_attempts=-1)
    yield client
    await client.close()


@pytest.fixture
def leases(database: Database) -> Leases:
    return Leases(database, owner="test")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def tracing() -> Tracing:
    return Tracing("toy", environment={})


@pytest_asyncio.fixture
async def bell() -> Bell:
    return Bell(CHANNEL)


@pytest.fixture
def outbox(bell: Bell, tracing: Tracing) -> Outbox:
    return Outbox(bell=bell, tracing=tracing)


@pytest.fixture
def make_relay(database: Database, bus: Bus, metrics: Metrics, bell: Bell, tracing: Tracing) -> Callable[..., Relay]:
    def make(owner: str = "a", *, bus: Any = bus, ttl: timedelta = timedelta(seconds=10)) -> Relay:
        return Relay(
            service="toy",
            database=database,
            bus=bus,
            leases=Leases(database, owner=owner, ttl=ttl),
            metrics=metrics,
            tracing=tracing,
            bell=bell,
        )

    return make


@pytest_asyncio.fixture
async def relay(make_relay: Callable[..., Relay]) -> AsyncIterator[Relay]:
    made = make_relay()
    async with at_work(made.run()):
        yield made


@pytest.fixture
def make_subscriber(
    database: Database, bus: Bus, metrics: Metrics, tracing: Tracing, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Subscriber]:
    """Make subscribers that try again at once."""
    monkeypatch.setattr(deliveries, "BACK_OFF_S", (0.02, 0.03))
    monkeypatch.setattr(deliveries, "OUTAGE_S", 0.1)

    def make(
        handlers: Handlers | None = None, *, bus: Bus = bus, database: Database = database, purpose: str = "names"
    ) -> Subscriber:
        return Subscriber(
            Subscription(purpose, handlers or {PairingRenamed: keep}),
            service="toy",
            database=database,
            bus=bus,
            metrics=metrics,
            tracing=tracing,
        )

    return make


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(credentials: Installation) -> AsyncIterator[Door]:
    """The door of a service of things; nothing stands behind it, and it serves all the same."""
    async with open_door(toy_service(build), credentials) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own_postgres() -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL server that may be frozen and stopped."""
    with tempfile.TemporaryDirectory(prefix="shoal-pg-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres", fsync=False)
        await server.start()
        yield server
        await server.stop()


class Freezer:
    """Holds all processes of a PostgreSQL server still."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self._frozen: list[psutil.Process] = []

    def freeze(self) -> None:
        parent = psutil.Process(self._server.pid)
        self._frozen = [parent, *parent.children(recursive=True)]
        for process in self._frozen:
            process.suspend()

    def thaw(self) -> None:
        for process in self._frozen:
            process.resume()
        self._frozen = []


@pytest.fixture
def freezer(own_postgres: EmbeddedPostgres) -> Iterator[Freezer]:
    made = Freezer(own_postgres)
    yield made
    made.thaw()
