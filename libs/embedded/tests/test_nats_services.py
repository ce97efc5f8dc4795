"""What services may do on NATS: publish their own facts, and read streams."""

import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from shoal_embedded.nats_users import PUBLISHES

from .conftest import Connections, stored

FACTS = {
    "gateway": "shoal.events.login.ended.v1.login_1",
    "pairing": "shoal.events.agent.disconnected.v1.agent_1",
    "telemetry-ingest": "shoal.events.agent.online.v1.agent_1",
    "agent-runtime": "shoal.events.run.completed.v1.run_1",
    "instance-orchestrator": "shoal.events.instance.running.v1.7",
    "ssh-manager": "shoal.events.ssh.connected.v1.7",
}
OTHERS = ("shoal.telemetry.batch.p1", "shoal.live.acc_1.agent_1.metrics")


@pytest.mark.parametrize("service", PUBLISHES)
async def test_service_publishes_its_own_facts_and_nobody_elses(
    service: str, admin: Client, connections: Connections
) -> None:
    client = await connections.open(service)
    if service in FACTS:
        await client.jetstream().publish(FACTS[service], b"{}")
    await client.publish(f"shoal.dead.{service}.x", b"{}")
    assert await connections.refusals(client.flush(), client) == []
    speaks_live = service in {"telemetry-ingest", "agent-runtime"}
    foreign = [
        *(subject for owner, subject in FACTS.items() if owner != service),
        *(() if speaks_live else OTHERS),
        "shoal.dead.another.x",
        "$JS.API.STREAM.DELETE.EVENTS",
        "$JS.API.STREAM.PURGE.EVENTS",
    ]
    before = await stored(admin, "EVENTS"), await stored(admin, "TELEMETRY")
    for subject in foreign:
        (refusal,) = await connections.refusals(client.publish(subject, b"{}"), client)
        assert subject.lower() in refusal
    assert (await stored(admin, "EVENTS"), await stored(admin, "TELEMETRY")) == before


@pytest.mark.parametrize("subject", ["shoal.frames.acct_1", "shoal.runs.run_1.cancel"])
async def test_what_processes_of_the_runtime_tell_each_other_stays_among_them(
    subject: str, admin: Client, connections: Connections
) -> None:
    here, there, other = [await connections.open(name) for name in ("agent-runtime", "agent-runtime", "metrics-query")]
    heard = await there.subscribe(subject)
    await there.flush()
    await here.publish(subject, b"{}")
    assert (await heard.next_msg(timeout=2)).data == b"{}"
    (refusal,) = await connections.refusals(other.publish(subject, b"{}"), other)
    assert subject in refusal
    (refusal,) = await connections.refusals(other.subscribe(subject), other)
    assert subject in refusal


async def test_service_makes_streams_and_reads_them_with_acknowledgements(
    admin: Client, connections: Connections
) -> None:
    jetstream = (await connections.open("metrics-query")).jetstream()
    await jetstream.add_stream(StreamConfig(name="DEAD", subjects=["shoal.dead.>"]))
    pull = await jetstream.pull_subscribe("shoal.telemetry.batch.>", durable="metrics", stream="TELEMETRY")
    (message,) = await pull.fetch(1, timeout=2)
    await message.ack_sync()
    assert message.data == b"secret samples"
