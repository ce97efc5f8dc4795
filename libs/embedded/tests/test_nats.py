import json
import os
import secrets
import signal
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path

import msgspec
import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.errors import Error
from nats.js.api import StreamConfig

from shoal_embedded.nats import EmbeddedNats
from shoal_embedded.nats_users import CONSUMER, PUBLISHES, USERS, NatsUser, service_users
from shoal_embedded.processes import AlreadyRunningError, ServerError, ServerProcess
from shoal_operations.readers import ensure_copy

from .conftest import gone, program, until

PARENT = """
import asyncio, sys
from pathlib import Path
from shoal_embedded.nats import EmbeddedNats

async def main():
    server = EmbeddedNats(Path(sys.argv[1]))
    await server.start()
    print(server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""

FACTS = {
    "gateway": "shoal.events.login.ended.v1.login_1",
    "pairing": "shoal.events.agent.disconnected.v1.agent_1",
    "telemetry-ingest": "shoal.events.agent.online.v1.agent_1",
    "agent-runtime": "shoal.events.run.completed.v1.run_1",
    "instance-orchestrator": "shoal.events.instance.running.v1.7",
    "ssh-manager": "shoal.events.ssh.connected.v1.7",
}
OTHERS = ("shoal.telemetry.batch.p1", "shoal.live.acc_1.agent_1.metrics")


class Connections:
    """Clients by user name; what the server refused them is collected."""

    def __init__(self, server: EmbeddedNats) -> None:
        self.server = server
        self.refused: list[str] = []
        self._clients: list[Client] = []

    async def open(self, name: str, **options: object) -> Client:
        async def note(error: Exception) -> None:
            self.refused.append(str(error).lower())

        client = await nats.connect(
            self.server.url_for(name), error_cb=note, reconnect_time_wait=0.02, max_reconnect_attempts=-1, **options
        )
        self._clients.append(client)
        return client

    async def close(self) -> None:
        for client in self._clients:
            await client.close()

    async def refusals(self, act: Awaitable[object], client: Client) -> list[str]:
        """What the server refuses when this is done: everything before a last thing that it refuses to all."""
        self.refused.clear()
        await act
        await client.publish("nobody.may", b"")
        await until(self._last_refused)
        return self.refused[:-1]

    async def _last_refused(self) -> bool:
        return any('"nobody.may"' in refusal for refusal in self.refused)


@pytest.fixture
def users() -> Sequence[NatsUser]:
    return service_users({name: secrets.token_urlsafe(16) for name in USERS})


@pytest_asyncio.fixture
async def server(tmp_path: Path, users: Sequence[NatsUser]) -> AsyncIterator[EmbeddedNats]:
    server = EmbeddedNats(tmp_path / "nats", users=users)
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture
async def connections(server: EmbeddedNats) -> AsyncIterator[Connections]:
    connections = Connections(server)
    yield connections
    await connections.close()


@pytest_asyncio.fixture
async def admin(connections: Connections) -> Client:
    """The administrator, on a server that has our streams, 10 facts, a batch, and the readers' copy."""
    client = await connections.open("admin")
    jetstream = client.jetstream()
    await jetstream.add_stream(StreamConfig(name="EVENTS", subjects=["shoal.events.>"]))
    await jetstream.add_stream(StreamConfig(name="TELEMETRY", subjects=["shoal.telemetry.batch.>"]))
    await jetstream.publish("shoal.telemetry.batch.p1", b"secret samples")
    for number in range(10):
        await jetstream.publish("shoal.events.user.created.v1.user_1", b'{"n": %d}' % number)
    await ensure_copy(connections.server.url_for("copier"))
    return client


async def stored(admin: Client, stream: str) -> int:
    return int((await admin.jetstream().stream_info(stream)).state.messages)


async def test_every_stored_message_is_synced_and_the_monitor_says_so(server: EmbeddedNats) -> None:
    report = await server.monitor("/jsz")
    assert report["config"]["sync_always"] is True
    assert Path(report["config"]["store_dir"]).is_relative_to(server.log.parent)


async def test_server_without_users_lets_everybody_in(tmp_path: Path) -> None:
    server = EmbeddedNats(tmp_path, sync_always=False)
    await server.start()
    client = await nats.connect(server.url)
    await client.jetstream().add_stream(name="S", subjects=["s"])
    await client.close()
    assert "sync_always" not in (await server.monitor("/jsz"))["config"]
    await server.stop()


async def test_configuration_with_its_passwords_is_ours_alone(server: EmbeddedNats) -> None:
    assert stat.S_IMODE(server.log.with_name("nats.json").stat().st_mode) == 0o600


async def test_restart_keeps_messages_and_port_so_clients_come_back(server: EmbeddedNats, admin: Client) -> None:
    url, monitor_url = server.url, server.monitor_url
    await server.stop()
    assert server.pid is None
    await server.start()
    assert (server.url, server.monitor_url) == (url, monitor_url)
    await until(lambda: connected(admin))
    assert await stored(admin, "EVENTS") == 10


async def test_killed_server_recovers_what_it_acknowledged(server: EmbeddedNats, admin: Client) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert await server.wait() == -signal.SIGKILL
    await server.start()
    await until(lambda: connected(admin))
    assert await stored(admin, "EVENTS") == 10


async def connected(client: Client) -> bool:
    return client.is_connected


async def test_server_dies_with_its_killed_parent_and_starts_anew(tmp_path: Path) -> None:
    async with program(PARENT, str(tmp_path)) as (parent, (pid,)):
        parent.kill()
        await parent.wait()
        successor = EmbeddedNats(tmp_path)
        await successor.start()
        await successor.stop()
        await gone(int(pid))


async def test_second_server_on_a_directory_is_told_the_pid_of_the_first(server: EmbeddedNats) -> None:
    with pytest.raises(AlreadyRunningError, match=f"already running with pid {server.pid} .*--state"):
        await EmbeddedNats(server.log.parent).start()


async def test_failure_names_the_log_and_its_last_lines(server: EmbeddedNats, tmp_path: Path) -> None:
    second = EmbeddedNats(tmp_path / "second", port=server.port)
    with pytest.raises(ServerError) as failure:
        await second.start()
    message = str(failure.value)
    assert "NATS: ended with status 1 while starting" in message
    assert str(second.log) in message
    assert "address already in use" in message
    assert second.pid is None


class Raced(EmbeddedNats):
    """Somebody else is faster, twice: first at the port for clients, then at the monitor's."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, sync_always=False)
        self.others: list[socket.socket] = []

    async def _prepare(self) -> ServerProcess:
        prepared = await super()._prepare()
        if len(self.others) < 2:
            lost = self.port if not self.others else int(self.monitor_url.rpartition(":")[2])
            self.others.append(socket.create_server(("127.0.0.1", lost)))
        return prepared


async def test_a_port_that_somebody_takes_first_is_given_up_for_another(tmp_path: Path) -> None:
    server = Raced(tmp_path)
    await server.start()
    kept = server.port
    await server.stop()
    await server.start()
    assert server.port == kept
    assert (await server.monitor("/healthz"))["status"] == "ok"
    await server.stop()
    for other in server.others:
        other.close()


async def test_new_users_are_let_in_and_old_passwords_are_not(
    server: EmbeddedNats, users: Sequence[NatsUser], connections: Connections
) -> None:
    await connections.open("pairing")
    old = server.url_for("pairing")
    await server.set_users([msgspec.structs.replace(user, password="renewed") for user in users])
    await connections.open("pairing")
    late = Client()
    with pytest.raises(Error, match="Authorization Violation"):
        await late.connect(old, allow_reconnect=False, error_cb=ignore)
    await late.close()


async def test_users_that_the_server_refuses_change_nothing(
    server: EmbeddedNats, users: Sequence[NatsUser], connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal_embedded.nats._RELOAD_SECONDS", 0.3)
    with pytest.raises(ServerError, match=r"refused the new users(.|\n)*nats.log"):
        await server.set_users([*users, NatsUser("pairing", "twice")])
    await connections.open("pairing")
    await server.stop()
    await server.start()
    await connections.open("pairing")


async def ignore(_: Exception) -> None: ...


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


async def copy_holds(client: Client, count: int) -> None:
    async def complete() -> bool:
        return await stored(client, "EVENTS") >= count

    await until(complete)


async def test_consumer_reads_stored_facts_in_order_and_then_new_ones(admin: Client, connections: Connections) -> None:
    consumer = await connections.open("consumer")
    ordered = await consumer.jetstream().subscribe("shoal.events.>", stream="EVENTS", ordered_consumer=True)
    assert [json.loads((await ordered.next_msg(timeout=4)).data)["n"] for _ in range(10)] == list(range(10))
    await admin.jetstream().publish("shoal.events.user.created.v1.user_2", b'{"n": 10}', headers={"ce-id": "e"})
    fact = await ordered.next_msg(timeout=4)
    assert (fact.subject, fact.headers) == ("shoal.events.user.created.v1.user_2", {"ce-id": "e"})
    assert connections.refused == []


async def test_consumer_keeps_its_place_with_a_durable_of_its_own(admin: Client, connections: Connections) -> None:
    consumer = await connections.open("consumer")
    await copy_holds(consumer, 10)
    for expected in ([0, 1, 2, 3, 4, 5], [6, 7, 8, 9]):
        pull = await consumer.jetstream().pull_subscribe("shoal.events.>", durable="mine", stream="EVENTS")
        messages = await pull.fetch(6, timeout=0.5)
        assert [json.loads(message.data)["n"] for message in messages] == expected
        for message in messages:
            await message.ack_sync()
        await pull.unsubscribe()
    assert await consumer.jetstream().delete_consumer("EVENTS", "mine")


async def test_consumer_hears_facts_and_live_frames(admin: Client, connections: Connections) -> None:
    consumer = await connections.open("consumer")
    facts, frames = await consumer.subscribe("shoal.events.>"), await consumer.subscribe("shoal.live.>")
    await consumer.flush()
    await admin.publish("shoal.events.user.created.v1.user_9", b"{}")
    await admin.publish("shoal.live.acc_1.agent_1.metrics", b"{}")
    assert (await facts.next_msg(timeout=2)).subject == "shoal.events.user.created.v1.user_9"
    assert (await frames.next_msg(timeout=2)).subject == "shoal.live.acc_1.agent_1.metrics"


@pytest.mark.parametrize(
    "subject",
    [
        "shoal.events.user.created.v1.user_1",
        "shoal.live.acc_1.agent_1.metrics",
        "shoal.telemetry.batch.p1",
        "shoal.dead.pairing.x",
        "copy.api.CONSUMER.CREATE.EVENTS",
        "$JS.API.STREAM.PURGE.EVENTS",
        "$JS.API.STREAM.DELETE.EVENTS",
        "$JS.API.STREAM.UPDATE.EVENTS",
        "$JS.API.STREAM.CREATE.MINE",
        "$JS.API.STREAM.MSG.DELETE.EVENTS",
        "$JS.API.STREAM.INFO.TELEMETRY",
        "$JS.API.STREAM.MSG.GET.TELEMETRY",
        "$JS.API.DIRECT.GET.TELEMETRY",
        "$JS.API.CONSUMER.CREATE.TELEMETRY",
        "$JS.API.CONSUMER.CREATE.TELEMETRY.mine.shoal.telemetry.>",
    ],
)
async def test_consumer_may_not_publish(subject: str, admin: Client, connections: Connections) -> None:
    consumer = await connections.open("consumer")
    (refusal,) = await connections.refusals(consumer.publish(subject, b"{}"), consumer)
    assert f'publish to "{subject.lower()}"' in refusal
    assert await stored(admin, "EVENTS") == 10
    assert await stored(admin, "TELEMETRY") == 1


async def test_consumer_may_not_listen_to_samples_or_to_everything(admin: Client, connections: Connections) -> None:
    consumer = await connections.open("consumer")
    for subject in ("shoal.telemetry.>", "shoal.dead.>", "$JS.EVENT.ADVISORY.>", "copy.deliver.>", ">"):
        (refusal,) = await connections.refusals(consumer.subscribe(subject), consumer)
        assert f'subscription to "{subject.lower()}"' in refusal


async def test_consumer_does_not_hear_what_services_are_answered(admin: Client, connections: Connections) -> None:
    consumer = await connections.open("consumer")
    answers = await consumer.subscribe("_INBOX.>")
    await consumer.flush()
    service = await connections.open("metrics-query")
    pull = await service.jetstream().pull_subscribe("shoal.telemetry.batch.>", durable="m", stream="TELEMETRY")
    assert await pull.fetch(1, timeout=2)
    await consumer.flush()
    assert answers.pending_msgs == 0


async def test_consumer_cannot_make_the_server_publish_for_it(admin: Client, connections: Connections) -> None:
    """Whoever sends a request names the subject of its reply, and nobody asks whether they may publish there."""
    consumer = await connections.open("consumer")
    await copy_holds(consumer, 10)
    await consumer.jetstream().pull_subscribe("shoal.events.>", durable="mine", stream="EVENTS")
    heard = await admin.subscribe("shoal.>")
    await admin.flush()
    for target in ("shoal.events.login.ended.v1.login_1", "shoal.telemetry.batch.p1", "shoal.live.a.b.metrics"):
        for request in ("$JS.API.STREAM.INFO.EVENTS", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.mine"):
            await consumer.publish(request, b"", reply=target)
    assert await stored(consumer, "EVENTS") == 10  # answered, so the requests before it are handled too
    assert await stored(admin, "EVENTS") == 10
    assert await stored(admin, "TELEMETRY") == 1
    assert heard.pending_msgs == 0


async def test_consumer_sees_and_moves_no_consumer_of_a_service(admin: Client, connections: Connections) -> None:
    service = (await connections.open("ssh-manager")).jetstream()
    await service.pull_subscribe("shoal.events.user.>", durable="ssh-users", stream="EVENTS")
    stranger = (await connections.open("consumer")).jetstream(timeout=1)
    with pytest.raises(Error, match="consumer not found"):
        await stranger.consumer_info("EVENTS", "ssh-users")
    with pytest.raises(Error, match="consumer not found"):
        await stranger.delete_consumer("EVENTS", "ssh-users")
    assert (await service.consumer_info("EVENTS", "ssh-users")).num_pending == 10


async def test_copier_is_the_only_other_user_among_readers(users: Sequence[NatsUser]) -> None:
    assert {user.name for user in users if user.account == "READERS"} == {CONSUMER, "copier"}
