"""Servers of these tests and clients of theirs; a module that needs another `server` makes its own."""

import asyncio
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import psutil
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js.api import StreamConfig

from shoal_embedded.nats import EmbeddedNats
from shoal_embedded.nats_users import USERS, NatsUser, service_users
from shoal_operations.readers import ensure_copy


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user may enter, as pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="shoal-embedded-") as folder:
        directory = Path(folder)
        directory.chmod(0o755)
        yield directory


async def until(condition: Callable[[], Awaitable[bool]], *, within: float = 5.0) -> None:
    """Poll until true; fail when it is not `within` seconds."""
    deadline = time.monotonic() + within
    while not await condition():
        assert time.monotonic() < deadline, f"not within {within} s"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def program(script: str, *arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, Sequence[str]]]:
    """Run a Python script in a process of its own; yields it with the words of its first line of output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        words = (await process.stdout.readline()).decode().split()
        yield process, words
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.communicate()


async def gone(pid: int) -> None:
    """Wait until a process has ended."""

    async def ended() -> bool:
        return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

    await until(ended)


def copied(source: Path, target: Path) -> Path:
    """A copy of a directory of servers' data, modes kept."""
    return Path(shutil.copytree(source, target))


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
