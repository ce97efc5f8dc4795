"""The ingest door between real neighbours: pairing and gateway as owners of credentials, a NATS that may be stopped."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import msgspec
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from shoal.identity import HEADER, Principal
from shoal.installation import Installation
from shoal.service import installed
from shoal.testing.servers import TestDatabases
from shoal.testing.suite import ServiceUnderTest, Suite, eventually, free_port, user
from shoal_embedded.nats import EmbeddedNats
from shoal_events import Sample, TelemetryBatch


class Paired(NamedTuple):
    """An agent that was paired, with its one token."""

    pairing_id: str
    account_id: str
    agent_id: str
    token: str

    def metrics(self, *, at: datetime | None = None, **more: Any) -> dict[str, Any]:
        return metrics(self.agent_id, at=at, **more)


class Wire:
    """A telemetry socket, from outside."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, *frames: Any) -> None:
        for frame in frames:
            await self.connection.send(
                frame if isinstance(frame, str | bytes) else msgspec.json.encode(frame),
                text=not isinstance(frame, bytes),
            )

    async def hear(self, kind: str | None = None, within_s: float = 5) -> dict[str, Any]:
        """Wait for the next frame, or the next of a kind."""
        async with asyncio.timeout(within_s):
            while True:
                frame = msgspec.json.decode(await self.connection.recv())
                if kind in {None, frame["type"]}:
                    return frame

    async def sign_in(self, token: str, **more: str) -> dict[str, Any]:
        await self.say({"type": "auth", "token": token, **more})
        return await self.hear()

    async def ping(self, within_s: float = 5) -> dict[str, Any]:
        await self.say({"type": "ping"})
        return await self.hear("pong", within_s)

    async def closed(self, within_s: float = 5) -> int:
        """Wait until the server closed the socket; gives the code."""
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(within_s):
                while True:
                    await self.connection.recv()
        return self.connection.close_code or 0


class World:
    """Everybody around the door."""

    def __init__(self, suite: Suite, nats: EmbeddedNats, pairing: ServiceUnderTest) -> None:
        self.suite, self.nats, self.pairing = suite, nats, pairing
        self.ingest: ServiceUnderTest
        self._wires: list[ClientConnection] = []
        self._fresh = 0

    async def start(self, **settings: str) -> ServiceUnderTest:
        """Start another replica of telemetry-ingest."""
        return await self.suite.start("telemetry-ingest", TELEMETRY_INGEST_PORT=str(free_port()), **settings)

    async def pair(self, agent_id: str = "agent_1", *, account_id: str = "acct_1") -> Paired:
        asks = self.pairing.client(user(account_id))
        opened = (await asks.post("/pairing/init", json={"name": agent_id})).json()
        told = {"token": opened["token"], "agent_id": agent_id}
        confirmed = (await self.pairing.client().post("/pairing/confirm", json=told)).json()
        return Paired(opened["pairing_id"], account_id, agent_id, confirmed["telemetry_token"])

    async def fresh_agent(self) -> Paired:
        """Pair an agent that no other test has, in an account of its own."""
        self._fresh += 1
        return await self.pair(f"agent_{self._fresh}", account_id=f"acct_{self._fresh}")

    async def known(self, *agents: Paired) -> None:
        """Wait until telemetry-ingest has heard of agents."""
        for agent in agents:
            row = "select count(*) from telemetry_ingest.pairing where id = $1"
            await self.until_rows(row, 1, agent.pairing_id)

    async def connect(
        self, who: Principal | None = None, *, at: ServiceUnderTest | None = None, **options: Any
    ) -> Wire:
        place = at or self.ingest
        headers = {HEADER.decode(): place.token(who or Principal(source="127.0.0.1"))}
        url = place.url.replace("http", "ws") + "/telemetry"
        options = {"ping_interval": None, "compression": None, "max_queue": 1024, "proxy": None} | options
        self._wires.append(await connect(url, additional_headers=headers, **options))
        return Wire(self._wires[-1])

    async def agent(self, paired: Paired, *, at: ServiceUnderTest | None = None, **more: str) -> Wire:
        """Connect an agent that signed in."""
        wire = await self.connect(at=at)
        assert (await wire.sign_in(paired.token, **more))["type"] == "auth_success"
        return wire

    async def viewer(self, who: Principal | None = None, *, at: ServiceUnderTest | None = None) -> Wire:
        """Connect a user whom the handshake names."""
        wire = await self.connect(who or user(), at=at)
        assert (await wire.hear())["type"] == "auth_success"
        return wire

    async def batches(self) -> list[TelemetryBatch]:
        """Read every batch that is stored."""
        jetstream = (await self.suite.bus()).jetstream()
        state = (await jetstream.stream_info("TELEMETRY")).state
        stored = (
            [await jetstream.get_msg("TELEMETRY", seq) for seq in range(state.first_seq, state.last_seq + 1)]
            if state.messages
            else []
        )
        return [TelemetryBatch.from_json(message.data or b"") for message in stored]

    async def samples_of(self, paired: Paired) -> list[Sample]:
        """Read what is stored of an agent."""
        return [sample for _, agent_id, _, sample in await self.samples() if agent_id == paired.agent_id]

    async def samples(self) -> list[tuple[str, str, str, Sample]]:
        """Read every sample that is stored: account, agent, epoch, sample."""
        return [
            (group.account_id, group.agent_id, group.epoch, sample)
            for batch in await self.batches()
            for group in batch.groups
            for sample in group.samples
        ]

    async def rows(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.suite.database_url)
        try:
            return await connection.fetch(sql, *arguments)
        finally:
            await connection.close()

    async def until_rows(self, sql: str, wanted: Any, *arguments: Any, within_s: float = 5) -> None:
        """Wait until the first column of the first row is what it should be."""
        seen: list[Any] = []

        async def holds() -> bool:
            seen[:] = [row[0] for row in await self.rows(sql, *arguments)]
            return bool(seen) and seen[0] == wanted

        await eventually(holds, lambda: seen, within_s=within_s)

    async def close(self) -> None:
        for wire in self._wires:
            await wire.close()


def metrics(agent_id: str = "agent_1", *, at: datetime | None = None, **more: Any) -> dict[str, Any]:
    """Write the contract's metrics frame, taken now."""
    data = {"messages_1h": 142, "messages_24h": 2847, "active_sessions": 3, "avg_response_ms": 850}
    data |= {"memory_mb": 256, "cpu_percent": 12, "uptime_s": 86400}
    return {"type": "metrics", "agent_id": agent_id, "timestamp": (at or now()).isoformat(), "data": data} | more


def now(**ahead: float) -> datetime:
    return datetime.now(UTC) + timedelta(**ahead)


@contextlib.asynccontextmanager
async def neighbourhood(databases: TestDatabases, installation: Installation) -> AsyncIterator[World]:
    """Everybody but telemetry-ingest itself."""
    url = await databases.make([installed()[name] for name in ("gateway", "pairing", "telemetry-ingest")])
    with tempfile.TemporaryDirectory(prefix="shoal-nats-", ignore_cleanup_errors=True) as folder:
        nats = EmbeddedNats(Path(folder) / "nats")
        await nats.start()
        suite = Suite(databases=databases, database_url=url, nats_url=nats.url, installation=installation)
        for name in ("gateway", "telemetry-ingest", "pairing"):
            suite.announce(name)
        world = World(suite, nats, await suite.start("pairing"))
        try:
            yield world
        finally:
            await world.close()
            await suite.close()
            await nats.stop()
    await databases.drop(url)


@pytest_asyncio.fixture
async def around(databases: TestDatabases, installation: Installation) -> AsyncIterator[World]:
    """Everybody but telemetry-ingest, which the test starts with settings of its own."""
    async with neighbourhood(databases, installation) as world:
        yield world


@pytest_asyncio.fixture
async def world(around: World) -> World:
    """Everybody, with the contract's settings."""
    around.ingest = await around.suite.start("telemetry-ingest")
    return around


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(databases: TestDatabases, installation: Installation) -> AsyncIterator[World]:
    """One for all tests of a module, which leave each other's agents alone."""
    async with neighbourhood(databases, installation) as world:
        world.ingest = await world.suite.start("telemetry-ingest")
        yield world
