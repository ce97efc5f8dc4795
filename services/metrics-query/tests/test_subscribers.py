"""What becomes of samples and facts, whatever happens on the way."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pytest
from nats.js.api import PubAck

from shoal.database import Database
from shoal.testing.suite import ServiceUnderTest, Suite, eventually, user
from shoal_events import (
    AccountDeleted,
    PairingConfirmed,
    PairingDeleted,
    PairingRenamed,
    RuntimeAgentCreated,
    RuntimeAgentDeleted,
    RuntimeAgentUpdated,
    Sample,
    SampleError,
    SampleGroup,
    SampleMetrics,
    TelemetryBatch,
)

ALICE = user("acct_1", "user_alice")
SUBJECT = "shoal.telemetry.batch.proc_1"


def batch(samples: Sequence[Sample], *, agent_id: str = "agent_1", epoch: str = "e1") -> TelemetryBatch:
    group = SampleGroup(account_id="acct_1", agent_id=agent_id, epoch=epoch, samples=tuple(samples))
    return TelemetryBatch(batch_id=uuid4().hex, process="proc_1", groups=(group,))


async def publish(suite: Suite, body: bytes) -> PubAck:
    return await (await suite.bus()).jetstream().publish(SUBJECT, body, headers={"Nats-Msg-Id": uuid4().hex})


async def frames(database: Database) -> int:
    async with database.reading() as tx:
        return int(await tx.value("select coalesce(sum(frames), 0) from minute"))


def sample(seq: int, at: datetime | None = None) -> Sample:
    return Sample(seq=seq, at=at or datetime.now(UTC), metrics=SampleMetrics(messages_1h=seq))


async def names(metrics: ServiceUnderTest) -> dict[str, str]:
    listed = (await metrics.client(ALICE).get("/telemetry/overview")).json()["agents"]
    return {agent["agent_id"]: agent["name"] for agent in listed}


async def until_named(metrics: ServiceUnderTest, expected: dict[str, str]) -> None:
    async def holds() -> bool:
        return await names(metrics) == expected

    await eventually(holds)


def confirmed(pairing_id: str, agent_id: str, *, version: int = 2, name: str = "") -> PairingConfirmed:
    return PairingConfirmed(
        pairing_id=pairing_id,
        account_id="acct_1",
        user_id="user_1",
        name=name,
        agent_id=agent_id,
        telemetry_token_sha256="0" * 64,
        confirmed_at=datetime.now(UTC),
        version=version,
    )


@pytest.mark.fault
async def test_every_sample_is_counted_once_through_restarts_and_redelivery(suite: Suite, database: Database) -> None:
    total, stop = 3000, asyncio.Event()

    async def flow() -> None:
        for first in range(1, total, 10):
            body = batch([sample(seq) for seq in range(first, first + 10)]).to_json()
            await publish(suite, body)
            await publish(suite, body)
        stop.set()

    service = await suite.start("metrics-query", until_ready=False)
    await eventually(lambda: service.running.resources.bus.problem() is None)
    sending = asyncio.ensure_future(flow())
    for _ in range(4):
        await asyncio.wait([asyncio.ensure_future(stop.wait())], timeout=0.15)
        await suite.stop(service)
        service = await suite.start("metrics-query", until_ready=False)
    await sending

    async def all_counted() -> bool:
        return await frames(database) >= total

    await eventually(all_counted, within_s=20)
    assert await frames(database) == total
    async with database.reading() as tx:
        assert await tx.value("select seqs::text from seen") == f"{{[1,{total + 1})}}"


async def test_what_cannot_be_counted_is_kept_aside_and_delays_nobody(
    metrics: ServiceUnderTest, suite: Suite, database: Database
) -> None:
    await publish(suite, b"[[[")
    await publish(suite, batch([sample(1)], agent_id="nul\x00").to_json())
    await publish(suite, batch([sample(1)]).to_json())

    async def counted() -> bool:
        return await frames(database) == 1

    await eventually(counted)
    jetstream = (await suite.bus()).jetstream()

    async def buried() -> bool:
        return (await jetstream.stream_info("DEAD")).state.messages == 1

    await eventually(buried)
    message = await jetstream.get_msg("DEAD", 1)
    assert message.data == b"[[["
    assert message.headers["shoal-subject"] == SUBJECT


class Wire:
    """A TCP connection to a server that can be cut."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._ends: set[asyncio.StreamWriter] = set()

    async def mend(self) -> str:
        """Take connections; returns the URL by which the server is reached through here."""
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        user = self._target.netloc.rpartition("@")[0]
        return urlunsplit(self._target._replace(netloc=f"{user}@127.0.0.1:{self._port}"))

    async def cut(self) -> None:
        """Close every connection and take no more."""
        assert self._server is not None
        self._server.close()
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._ends |= {writer, back}
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer), return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        writer.close()


@pytest.mark.fault
async def test_while_the_database_is_away_samples_wait_and_questions_are_told(suite: Suite, database: Database) -> None:
    wire = Wire(suite.environment()["METRICS_QUERY_DATABASE_URL"])
    metrics = await suite.start("metrics-query", until_ready=False, METRICS_QUERY_DATABASE_URL=await wire.mend())
    bus = metrics.running.resources.bus
    await eventually(lambda: bus.problem() is None, bus.problem)
    await publish(suite, batch([sample(1)]).to_json())

    async def counted(number: int) -> bool:
        return await frames(database) == number

    await eventually(lambda: counted(1))
    await wire.cut()
    for seq in range(2, 21):
        await publish(suite, batch([sample(seq)]).to_json())
    answer = await metrics.client(ALICE).get("/telemetry/metrics/agent_1")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    await wire.mend()
    await eventually(lambda: counted(20), within_s=10)
    registry = metrics.running.resources.metrics.registry
    assert registry.get_sample_value("shoal_sample_batches_total", {"outcome": "dead"}) is None
    await suite.stop(metrics)
    await wire.cut()


async def test_samples_too_old_or_ahead_are_left_out(
    metrics: ServiceUnderTest, suite: Suite, database: Database
) -> None:
    now = datetime.now(UTC)
    moments = [now - timedelta(days=31), now + timedelta(days=1), now - timedelta(days=29), now]
    await publish(suite, batch([sample(seq, at) for seq, at in enumerate(moments, 1)]).to_json())

    async def counted() -> bool:
        return await frames(database) == 2

    await eventually(counted)
    registry = metrics.running.resources.metrics.registry
    await eventually(lambda: registry.get_sample_value("shoal_samples_total", {"outcome": "out_of_range"}) == 2)


async def test_hostile_numbers_and_names_are_bounded(
    metrics: ServiceUnderTest, suite: Suite, database: Database
) -> None:
    wild = SampleMetrics(
        messages_1h=1e300,
        messages_24h=-1,
        memory_mb=1e308,
        cpu_percent=1e18,
        avg_response_ms=1e300,
        response_ms=(0, 1e-300, 1e300, -5),
        revenue_1h="9" * 500,
        uptime_s=1e300,
    )
    at = datetime.now(UTC)
    await publish(
        suite,
        batch(
            [Sample(seq=seq, at=at, metrics=wild) for seq in range(1, 50)]
            + [Sample(seq=60, at=at, error=SampleError(skill="s" * 5000))]
        ).to_json(),
    )

    async def shown() -> bool:
        body = (await metrics.client(ALICE).get("/telemetry/metrics/agent_1")).json()
        return body["data"]["errors"] != [] and body["data"]["errors"][-1]["value"] == 1

    await eventually(shown)
    async with database.reading() as tx:
        assert await tx.value("select count(*) from skill_minute") == 0

    async def rolled_up() -> bool:
        async with database.reading() as tx:
            return not await tx.value("select count(*) from dirty_hour")

    await eventually(rolled_up)


async def test_agents_that_were_paired_before_are_known(suite: Suite) -> None:
    suite.announce("pairing")
    pairing = await suite.start("pairing")
    token = (await pairing.client(ALICE).post("/pairing/init", json={"name": "Early"})).json()["token"]
    await pairing.client().post("/pairing/confirm", json={"token": token, "agent_id": "agent_9"})
    await suite.events(PairingConfirmed)
    await (await suite.bus()).jetstream().purge_stream("EVENTS")
    metrics = await suite.start("metrics-query")
    assert await names(metrics) == {"agent_9": "Early"}


async def test_agents_follow_pairings(metrics: ServiceUnderTest, suite: Suite) -> None:
    await until_named(metrics, {"agent_1": "Production"})
    await suite.publish(
        PairingRenamed(pairing_id="pair_1", account_id="acct_1", name="New", version=4), event_id=str(uuid4())
    )
    await until_named(metrics, {"agent_1": "New"})
    await suite.publish(
        PairingRenamed(pairing_id="pair_1", account_id="acct_1", name="Old", version=3), event_id=str(uuid4())
    )
    await suite.publish(confirmed("pair_2", "agent_2", name="Second"), event_id=str(uuid4()))
    await until_named(metrics, {"agent_1": "New", "agent_2": "Second"})
    gone = PairingDeleted(pairing_id="pair_1", account_id="acct_1", agent_id="agent_1", reason="deleted", version=5)
    await suite.publish(gone, event_id=str(uuid4()))
    await until_named(metrics, {"agent_2": "Second"})
    assert (await metrics.client(ALICE).get("/telemetry/metrics/agent_1")).status_code == 404


async def test_agents_of_the_runtime_are_answered_for_without_a_pairing(
    metrics: ServiceUnderTest, suite: Suite
) -> None:
    about = {"agent_id": "agent_general", "account_id": "acct_1", "status": "running", "model": "offline/rules"}
    created = RuntimeAgentCreated(**about, name="general-agent", version=1)
    await suite.publish(created, event_id=str(uuid4()))
    await until_named(metrics, {"agent_1": "Production", "agent_general": "general-agent"})
    assert (await metrics.client(ALICE).get("/telemetry/metrics/agent_general")).status_code == 200
    await suite.publish(RuntimeAgentUpdated(**about, name="Ada", version=2), event_id=str(uuid4()))
    await until_named(metrics, {"agent_1": "Production", "agent_general": "Ada"})
    deleted = RuntimeAgentDeleted(agent_id="agent_general", account_id="acct_1", version=3)
    await suite.publish(deleted, event_id=str(uuid4()))
    await until_named(metrics, {"agent_1": "Production"})


async def test_an_older_confirmation_names_the_agent_but_takes_nothing_back(
    metrics: ServiceUnderTest, suite: Suite
) -> None:
    rename = PairingRenamed(pairing_id="pair_3", account_id="acct_1", name="Newer", version=7)
    await suite.publish(rename, event_id=str(uuid4()))
    await suite.publish(confirmed("pair_3", "agent_3", version=5, name="Older"), event_id=str(uuid4()))
    await until_named(metrics, {"agent_1": "Production", "agent_3": "Newer"})
    gone = PairingDeleted(pairing_id="pair_3", account_id="acct_1", agent_id="agent_3", reason="deleted", version=8)
    await suite.publish(gone, event_id=str(uuid4()))
    await suite.publish(confirmed("pair_3", "agent_3", version=6), event_id=str(uuid4()))
    await suite.publish(confirmed("pair_4", "agent_4", name="Fourth"), event_id=str(uuid4()))
    await until_named(metrics, {"agent_1": "Production", "agent_4": "Fourth"})


async def test_a_closed_account_is_answered_no_longer(metrics: ServiceUnderTest, suite: Suite) -> None:
    await until_named(metrics, {"agent_1": "Production"})
    await suite.publish(AccountDeleted(account_id="acct_1", version=2), event_id=str(uuid4()))
    await until_named(metrics, {})


async def test_how_late_samples_are_counted_is_measured(suite: Suite, database: Database) -> None:
    service = await suite.start("metrics-query", until_ready=False)
    await eventually(lambda: service.running.resources.bus.problem() is None)
    await suite.stop(service)
    for seq in range(1, 11):
        await publish(suite, batch([sample(seq)]).to_json())
    await asyncio.sleep(0.3)  # what is measured
    service = await suite.start("metrics-query", until_ready=False)

    async def counted() -> bool:
        return await frames(database) == 10

    await eventually(counted)
    registry = service.running.resources.metrics.registry
    assert (registry.get_sample_value("shoal_samples_lag_seconds") or 0) >= 0.3
    assert registry.get_sample_value("shoal_sample_batches_waiting") == 0
