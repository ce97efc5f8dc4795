"""Tunnels: carried bytes over a real SSH server, and tunnels of instances through the service's door."""

import asyncio
import contextlib
import hashlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncssh
import psutil
import pytest
import pytest_asyncio
from bot import Bot
from ssh_door import Door, Place, refused

from shoal.testing.sshd import Sshd
from shoal.testing.suite import eventually, free_port
from ssh_manager.tunnels.clients import Tunnel

MIB = 1024 * 1024
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Carrier:
    """A tunnel through OpenSSH's server to a port of this machine."""

    def __init__(self, tunnel: Tunnel, port: int, far_port: int) -> None:
        self.tunnel, self.port, self._far_port = tunnel, port, far_port
        self.carried = 0
        self._servers: list[asyncio.Server] = []

    async def serve(self, serve: Serve) -> None:
        """Serve at the other end."""
        self._servers.append(await asyncio.start_server(serve, "127.0.0.1", self._far_port))

    async def close(self) -> None:
        self.tunnel.close()
        for server in self._servers:
            server.close()


@pytest_asyncio.fixture
async def carrier(tmp_path: Path) -> AsyncIterator[Carrier]:
    far_port = free_port()
    sshd = Sshd(tmp_path / "real", ways=[f"localhost:{far_port}"])
    key = asyncssh.generate_private_key("ssh-ed25519")
    sshd.admit(key.export_public_key("openssh").decode().strip())
    await sshd.start()
    connection = await asyncssh.connect(
        *(sshd.host, sshd.port),
        username=sshd.user,
        client_keys=[key],
        known_hosts=([asyncssh.import_public_key(sshd.host_public_key)], [], []),
        config=None,
        agent_path=None,
    )
    carried = []
    tunnel = Tunnel(connection, far_port, count=carried.append)
    made = Carrier(tunnel, await tunnel.open(), far_port)
    made.sums = carried  # type: ignore[attr-defined]
    yield made
    await made.close()
    connection.close()
    await connection.wait_closed()
    await sshd.kill()


async def test_a_hundred_megabytes_reach_a_slow_reader_unchanged_and_are_not_kept_in_memory(carrier: Carrier) -> None:
    sent = hashlib.sha256()

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(100):
            block = os.urandom(MIB)
            sent.update(block)
            writer.write(block)
            await writer.drain()
        writer.close()

    await carrier.serve(pour)
    before = psutil.Process().memory_info().rss
    most, got = before, hashlib.sha256()
    reader, writer = await asyncio.open_connection("127.0.0.1", carrier.port, limit=64 * 1024)
    await asyncio.sleep(0.5)  # what is not read piles up wherever it can
    while block := await reader.read(256 * 1024):
        got.update(block)
        most = max(most, psutil.Process().memory_info().rss)
        await asyncio.sleep(0.001)
    writer.close()
    assert got.hexdigest() == sent.hexdigest()
    assert sum(carrier.sums) == 100 * MIB  # type: ignore[attr-defined]
    assert most - before <= 30 * MIB


async def test_what_is_sent_is_not_taken_faster_than_the_other_end_reads_it(carrier: Carrier) -> None:
    may_read, got = asyncio.Event(), hashlib.sha256()
    done = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await may_read.wait()
        while block := await reader.read(256 * 1024):
            got.update(block)
        writer.write(b"thanks")
        writer.close()
        done.set()

    await carrier.serve(take)
    reader, writer = await asyncio.open_connection("127.0.0.1", carrier.port)
    sent, block, taken = hashlib.sha256(), os.urandom(MIB), 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            while taken < 100:
                writer.write(block)
                sent.update(block)
                taken += 1
                await writer.drain()
    assert taken < 40
    may_read.set()
    await writer.drain()
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 10) == b"thanks"
    await done.wait()
    assert got.hexdigest() == sent.hexdigest()
    writer.close()


async def test_each_side_may_end_before_the_other(carrier: Carrier) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await reader.read()
        writer.write(said.upper())
        writer.close()

    await carrier.serve(answer)
    for said in (b"", b"hello", b"x" * MIB):
        reader, writer = await asyncio.open_connection("127.0.0.1", carrier.port)
        writer.write(said)
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 5) == said.upper()
        writer.close()
    await eventually(lambda: not carrier.tunnel._ends)


async def test_nobody_at_the_other_end_is_told_at_once(carrier: Carrier) -> None:
    with pytest.raises(OSError, match="refused"):
        await carrier.tunnel.look()
    reader, writer = await asyncio.open_connection("127.0.0.1", carrier.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 5)
    writer.close()


async def test_a_closed_tunnel_takes_nobody_and_hangs_up_on_everybody(carrier: Carrier) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while block := await reader.read(100):
            writer.write(block)
        writer.close()

    await carrier.serve(echo)
    reader, writer = await asyncio.open_connection("127.0.0.1", carrier.port)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    carrier.tunnel.close()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 5)
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", carrier.port)
    writer.close()


# through the service's door


async def until_tunnels(place: Place, *statuses: str, within_s: float = 10) -> list[dict]:
    """Wait until the tunnels (vnc, gateway) are so; returns them."""
    seen: list[dict] = []

    async def holds() -> bool:
        answer = await place.door.admin.get(f"{place.url}/tunnels")
        seen[:] = answer.json()["tunnels"]
        return tuple(one["status"] for one in seen) == statuses and all(one["last_check"] for one in seen)

    await eventually(holds, lambda: seen, within_s=within_s)
    return seen


def measured(door: Door) -> tuple[float | None, float | None]:
    """How many tunnels are healthy, and how many broken."""
    registry = door.service.running.resources.metrics.registry
    states = ("healthy", "broken")
    healthy, broken = (registry.get_sample_value("shoal_ssh_tunnels", {"state": state}) for state in states)
    return healthy, broken


async def test_a_connected_instance_has_both_tunnels_as_the_contract_shows_them(
    door: Door, bot: Bot, bot_place: Place
) -> None:
    vnc, gateway = await until_tunnels(bot_place, "active", "active")
    assert set(vnc) == {
        *("service", "type", "local_port", "remote_port", "status", "started_at", "last_check", "last_error"),
    }
    assert (vnc["service"], vnc["type"], vnc["remote_port"], vnc["last_error"]) == ("vnc", "reverse", 3000, "")
    assert (gateway["service"], gateway["type"], gateway["remote_port"]) == ("gateway", "reverse", 8080)
    with socket.create_connection(("127.0.0.1", gateway["local_port"]), timeout=5):
        pass
    status = (await door.admin.get(f"{bot_place.url}/ssh-status")).json()
    assert [one["healthy"] for one in status["tunnels"]] == [True, True]
    refused(await door.alice.get(f"{bot_place.url}/tunnels"), 403)
    refused(await door.stranger.get(f"{bot_place.url}/tunnels"), 404)
    refused(await door.admin.get("/api/v1/instances/x/tunnels"), 400)


async def test_a_tunnel_without_anybody_at_its_end_is_closed_says_why_and_comes_back(
    open_door, bot: Bot, make_place
) -> None:
    door = await open_door(SSH_MANAGER_TUNNEL_INTERVAL="200ms")
    way, bot.ways[8080] = bot.ways[8080], None
    place = await make_place(door)
    _, gateway = await until_tunnels(place, "active", "closed")
    assert gateway["last_error"] == "connection refused"
    await eventually(lambda: measured(door) == (1, 1))
    entry = await door.until_entry("tunnel_status")
    assert "gateway tunnel" in entry["details"] or "vnc tunnel" in entry["details"]
    bot.ways[8080] = way
    await until_tunnels(place, "active", "active")
    await eventually(lambda: measured(door) == (2, 0))
    details = [entry["details"] for entry in await door.entries(event_type="tunnel_status")]
    assert any("connection refused" in one for one in details)


async def test_tunnels_come_back_with_the_connection_at_the_same_ports(door: Door, bot: Bot, bot_place: Place) -> None:
    before = await until_tunnels(bot_place, "active", "active")
    await bot.cut()
    for one in await until_tunnels(bot_place, "closed", "closed"):
        assert one["last_error"] == "the SSH connection was lost"
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", one["local_port"])
    await bot.listen()
    after = await until_tunnels(bot_place, "active", "active")
    assert [one["local_port"] for one in after] == [one["local_port"] for one in before]


async def test_reconnecting_leaves_tunnels_that_outlive_the_request(door: Door, bot: Bot, bot_place: Place) -> None:
    answer = await door.admin.post(f"{bot_place.url}/ssh-reconnect")
    assert answer.json()["success"], answer.text
    tunnels = (await door.admin.get(f"{bot_place.url}/tunnels")).json()["tunnels"]
    assert len(tunnels) == 2
    for _ in range(3):
        for one in await until_tunnels(bot_place, "active", "active"):
            with socket.create_connection(("127.0.0.1", one["local_port"]), timeout=5):
                pass


async def test_two_instances_never_share_a_port(door: Door, bot: Bot, bot_place: Place, make_place) -> None:
    another = await make_place(door, number=2)
    ports = [
        one["local_port"] for place in (bot_place, another) for one in await until_tunnels(place, "active", "active")
    ]
    assert len(set(ports)) == 4


async def test_a_stopped_instance_has_no_tunnels(door: Door, bot: Bot, bot_place: Place) -> None:
    await until_tunnels(bot_place, "active", "active")
    await bot_place.stop()

    async def are_gone() -> bool:
        return not (await door.admin.get(f"{bot_place.url}/tunnels")).json()["tunnels"]

    await eventually(are_gone)
