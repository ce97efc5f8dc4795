"""The life of a NATS server: starting, ending, starting anew, and other users while it runs."""

import os
import signal
import socket
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec
import nats
import pytest
from nats.aio.client import Client
from nats.errors import Error

from shoal_embedded.nats import EmbeddedNats
from shoal_embedded.nats_users import NatsUser
from shoal_embedded.processes import AlreadyRunningError, ServerError, ServerProcess

from .conftest import Connections, gone, program, stored, until

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
    with pytest.raises(AlreadyRunningError, match=f"already running with pid {server.pid} in"):
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
