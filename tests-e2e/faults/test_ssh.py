"""The ways into instances: rotations killed anywhere, servers that vanish, links that die in silence, impostors."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import asyncssh
import pytest
from stack import Stack
from stack.figures import Machine, tell
from stack.played import FOREIGN, PlayedInstance, fingerprints, played

from shoal.tasks import end
from shoal.testing.suite import eventually

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1800)]

SERVICE = "ssh-manager"
ROUNDS, FLAPS = 2, 100
Hold = Callable[[PlayedInstance], contextlib.AbstractAsyncContextManager[None]]


def at_gate(point: str, *, at: int = 1, is_applied: bool = False) -> Hold:
    """Kill while the instance is held at a point."""

    @contextlib.asynccontextmanager
    async def hold(instance: PlayedInstance) -> AsyncIterator[None]:
        instance.gate.close(point, at=at)
        if is_applied:
            await apply_rotated(instance)
        await asyncio.wait_for(instance.gate.reached.wait(), 20)
        yield

    return hold


@contextlib.asynccontextmanager
async def at_switch(instance: PlayedInstance) -> AsyncIterator[None]:
    """Kill in the transaction that makes the new key the current one."""
    assert instance.stack.suite.postgres is not None
    connection = await asyncpg.connect(instance.stack.suite.postgres.url)
    try:
        async with connection.transaction():
            await connection.execute(
                "select from ssh_manager.ssh_key where instance_id = $1 and role = 'current' for update", instance.id
            )

            async def waits() -> bool:
                return bool(
                    await instance.stack.query(
                        "select from pg_stat_activity where usename = 'ssh_manager' and wait_event_type = 'Lock'"
                    )
                )

            await eventually(waits, within_s=20)
            yield
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def at_announcement(instance: PlayedInstance) -> AsyncIterator[None]:
    """Kill when the new key is the current one, and the instance does not keep it yet."""
    await eventually(lambda: _is_at(instance, "announced"), within_s=20)
    yield


POINTS: dict[str, Hold] = {
    "before the file is read": at_gate("read"),
    "before the new file is written": at_gate("write"),
    "before the new file takes its place": at_gate("move"),
    "after the new file took its place": at_gate("moved"),
    "while the new key signs in": at_gate("sign in"),
    "while the new key proves itself": at_gate("command"),
    "while the new key becomes the current one": at_switch,
    "before the instance keeps the new key": at_announcement,
    "before the old key is taken away": at_gate("read", at=2, is_applied=True),
    "after the old key was taken away": at_gate("moved", at=2, is_applied=True),
}


async def _is_at(instance: PlayedInstance, *steps: str) -> bool:
    found = await instance.stack.query(
        "select step from ssh_manager.rotation where instance_id = $1 order by id desc limit 1", instance.id
    )
    return bool(found) and found[0]["step"] in steps


async def apply_rotated(instance: PlayedInstance) -> None:
    """Be instance-orchestrator: once the new key is told, the instance keeps it."""
    await eventually(lambda: _is_at(instance, "switched", "announced", "applied"), within_s=20)
    await instance.apply()


async def test_a_rotation_killed_at_any_point_locks_nobody_out(stack: Stack, tmp_path: Path, size: int) -> None:
    lockouts, took = 0, []
    async with played(stack, tmp_path, 9001) as instance:
        for _ in range(ROUNDS * size if size > 1 else 1):
            for point, hold in POINTS.items():
                lockouts += await _rotate_and_kill(stack, instance, point, hold, took)
    tell("rotation killed -9", points=len(POINTS), kills=len(took), lockouts=lockouts, max_recovery_s=max(took))
    assert lockouts == 0


async def _rotate_and_kill(stack: Stack, instance: PlayedInstance, point: str, hold: Hold, took: list[float]) -> int:
    """Kill a rotation at one point; returns whether somebody was locked out at any time."""
    before = await instance.stored()
    asking = asyncio.ensure_future(stack.admin.client.post(f"{instance.url}/rotate-ssh-key"))
    async with hold(instance):
        await stack.kill(SERVICE)
    instance.gate.open()
    with contextlib.suppress(Exception):
        await asking
    is_locked_out = not await instance.signing_keys()
    await stack.query("update ssh_manager.lease set expires_at = '-infinity'")
    started = time.monotonic()
    await stack.start(SERVICE)
    await instance.until_state("connected")
    await eventually(lambda: _is_at(instance, "announced", "applied", "removed", "done", "failed"), within_s=30)
    await instance.apply()
    await eventually(lambda: _is_at(instance, "done", "failed"), within_s=30)
    took.append(time.monotonic() - started)
    after, content = await instance.stored(), instance.authorized_keys.read_bytes()
    assert [key["version"] for key in after] == await instance.signing_keys(), point
    assert (len(after), fingerprints(content)) == (1, 1), (point, content)
    assert content.startswith(FOREIGN), (point, content)
    assert after[0]["version"] in {before[0]["version"], before[0]["version"] + 1}
    return is_locked_out


async def test_every_instance_is_connected_again_when_the_process_is_killed(stack: Stack, tmp_path: Path) -> None:
    machine = Machine()
    async with contextlib.AsyncExitStack() as open_ones:
        instances = [await open_ones.enter_async_context(played(stack, tmp_path, 9100 + n)) for n in range(10)]
        await stack.kill(SERVICE)
        started = time.monotonic()
        await stack.start(SERVICE, until_ready=False)
        await stack.until_ready(SERVICE)
        for instance in instances:
            await instance.until_state("connected", within_s=30)
        took = time.monotonic() - started
    tell("ssh-manager killed -9", instances=len(instances), connected_again_s=took)
    machine.hold(connected_again=(took, 15))


async def test_a_server_that_vanishes_is_noticed_at_once_and_found_again(stack: Stack, tmp_path: Path) -> None:
    machine, noticed, found = Machine(), [], []
    async with played(stack, tmp_path, 9200) as instance:
        for outage_s in (0.5, 3, 8):
            await instance.close()
            noticed.append(await instance.until_state("reconnecting"))
            await asyncio.sleep(outage_s)
            await instance.listen()
            found.append(await instance.until_state("connected"))
    tell("sshd killed", max_noticed_s=max(noticed), max_connected_again_s=max(found))
    machine.hold(noticed=(max(noticed), 1), connected_again=(max(found), 5))


async def test_a_hundred_flaps_leak_nothing(stack: Stack, tmp_path: Path) -> None:
    async with played(stack, tmp_path, 9300) as instance:
        for _ in range(5):  # what is made once is made
            await _flap(instance)
        process = stack.process(SERVICE)
        fds, rss = process.num_fds(), process.memory_info().rss
        started = time.monotonic()
        for _ in range(FLAPS):
            await _flap(instance)
        took = time.monotonic() - started
        await eventually(lambda: abs(process.num_fds() - fds) <= 5, process.num_fds)
        grown = (process.memory_info().rss - rss) / 2**20
        shown = (await stack.admin.get(f"{instance.url}/ssh-status"))["recent_events"]
        assert len(shown) == 10
        assert {(moved["from"], moved["to"]) for moved in shown} == {
            ("connected", "reconnecting"),
            ("reconnecting", "connected"),
        }
        assert len(instance.connections) == 1
    tell("flaps", flaps=FLAPS, seconds=took, fds_more=process.num_fds() - fds, rss_more_mib=grown)
    assert grown < 10


async def _flap(instance: PlayedInstance) -> None:
    before = set(instance.connections)
    instance.cut()
    await eventually(lambda: bool(instance.connections - before), within_s=10)
    await instance.until_state("connected")


async def test_a_link_that_dies_in_silence_is_noticed(stack: Stack, tmp_path: Path) -> None:
    machine = Machine()
    async with played(stack, tmp_path, 9400) as instance, silenceable(instance.port) as wire:
        await instance.run(port=wire.port)
        await eventually(lambda: wire.is_used, within_s=10)
        await instance.until_state("connected")
        wire.is_silent = True
        noticed = await instance.until_state("reconnecting", within_s=60)
        wire.is_silent = False
        found = await instance.until_state("connected")
    tell("half-open link", noticed_s=noticed, connected_again_s=found)
    machine.hold(noticed=(noticed, 45), connected_again=(found, 10))


async def test_an_impostor_is_told_nothing(stack: Stack, tmp_path: Path) -> None:
    async with played(stack, tmp_path, 9500) as instance:
        await instance.close()
        await instance.until_state("reconnecting")
        instance.asked_to_sign_in = 0
        await instance.listen(asyncssh.generate_private_key("ssh-ed25519"))
        await instance.until_state("failed")
        answer = await stack.admin.client.post(f"{instance.url}/ssh-test")
        assert "host key verification failed" in answer.json()["error"]
        assert instance.asked_to_sign_in == 0
        events = (await stack.admin.get(f"{instance.url}/ssh-events"))["events"]
        assert "fingerprint_mismatch" in {event["type"] for event in events}
        query = {"event_type": "fingerprint_mismatch", "instance_id": str(instance.id)}
        assert (await stack.admin.get("/api/v1/ssh-audit-logs", **query))["total"] >= 2
        await instance.close()
        await instance.listen()
        answer = await stack.admin.client.post(f"{instance.url}/ssh-reconnect")
        assert answer.json()["success"] is True, answer.text


class Wire:
    """Carries connections to a server, and can fall silent without ending them."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = 0
        self.is_silent = False
        self.is_used = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.is_used = True
        self._writers.add(writer)
        if self.is_silent:
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers.add(far_writer)
        for one, other in ((reader, far_writer), (far_reader, writer)):
            self._tasks.add(asyncio.ensure_future(self._copy(one, other)))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        was_silent = False
        with contextlib.suppress(OSError):
            while block := await reader.read(65536):
                was_silent = was_silent or self.is_silent
                if not was_silent:
                    writer.write(block)
                    await writer.drain()
        if not was_silent:
            writer.close()

    async def close(self) -> None:
        await end(self._tasks)
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def silenceable(port: int) -> AsyncIterator[Wire]:
    """Lend a wire to a server."""
    wire = Wire(port)
    server = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        await wire.close()
