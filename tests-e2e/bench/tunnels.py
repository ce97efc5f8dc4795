"""Tunnels beside `ssh -L` through the same OpenSSH server: one stream of bytes, and one small question at a time."""

import asyncio
import contextlib
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median

import asyncssh
from msgspec import Struct

from bench.processes import child, cpu_seconds
from bench.rows import Row, Scale
from shoal.testing.sshd import Sshd
from shoal_embedded.ports import LOOPBACK, free_port

MIB = 1024 * 1024
BAR = 0.7
ASKED = 300
CIPHER = "aes128-gcm@openssh.com"
"""Ours; what `ssh` takes unasked is slower."""


class Contestant(Struct):
    """A way to the far end, and what it reached round by round."""

    port: int
    pid: int | None = None
    rates: list[float] = []
    """Megabytes a second."""
    waits_ms: list[float] = []
    carried_mb: float = 0
    busy_s: float = 0

    async def run(self, size: int) -> None:
        """Go through one round."""
        before = cpu_seconds(self.pid) if self.pid else 0.0
        took = await asyncio.to_thread(pull, self.port, size)
        self.busy_s += (cpu_seconds(self.pid) if self.pid else 0.0) - before
        self.carried_mb += size / 1e6
        self.rates.append(size / 1e6 / took)
        self.waits_ms.append(await asyncio.to_thread(ask, self.port))

    @property
    def rate(self) -> float:
        """How fast."""
        return median(self.rates)

    @property
    def told(self) -> str:
        """The rate, and what it would be if nobody else used its core."""
        own = f" ({self.carried_mb / self.busy_s:,.0f} by CPU-second)" if self.busy_s else ""
        return f"{self.rate:,.0f} MB/s{own}"


async def run(scale: Scale) -> list[Row]:
    """Pull bytes and ask questions, by turns through each."""
    size = (64 if scale.quick else 400) * MIB
    with tempfile.TemporaryDirectory(prefix="shoal-tunnels-") as name:
        async with contestants(Path(name)) as (ours, theirs, direct):
            for contestant in (ours, theirs):
                await contestant.run(8 * MIB)  # warms up
                contestant.rates.clear()
                contestant.waits_ms.clear()
            for _ in range(scale.rounds):
                for contestant in (ours, theirs, direct):
                    await contestant.run(size)
    wait, their_wait = median(ours.waits_ms), median(theirs.waits_ms)
    return [
        Row(
            f"tunnel: one stream of {size // MIB} MiB, {CIPHER}",
            ours.told,
            f"ssh -L {theirs.told}; direct {direct.rate:,.0f} MB/s",
            ours.rate / theirs.rate,
            f"≥ {BAR}",
            ours.rate >= BAR * theirs.rate,
        ),
        Row(
            "tunnel: a question of 10 bytes and its answer on an open connection, p50",
            f"{wait:.3f} ms",
            f"ssh -L {their_wait:.3f} ms; direct {median(direct.waits_ms):.3f} ms",
            wait / their_wait,
        ),
    ]


@contextlib.asynccontextmanager
async def contestants(folder: Path) -> AsyncIterator[tuple[Contestant, Contestant, Contestant]]:
    """Run a far end, a server before it, our tunnel and `ssh -L` through that."""
    far, ours, theirs = free_port(), free_port(), free_port()
    sshd = Sshd(folder / "sshd", ways=[f"localhost:{far}"])
    key = asyncssh.generate_private_key("ssh-ed25519")
    sshd.admit(key.export_public_key("openssh").decode().strip())
    (folder / "key").touch(0o600)
    (folder / "key").write_bytes(key.export_private_key("openssh"))
    (folder / "host_key.pub").write_text(sshd.host_public_key + "\n")
    (folder / "known_hosts").write_text(f"[{LOOPBACK}]:{sshd.port} {sshd.host_public_key}\n")
    await sshd.start()
    options = ("StrictHostKeyChecking=yes", f"UserKnownHostsFile={folder}/known_hosts", "IdentitiesOnly=yes")
    command = ("ssh", "-N", "-F", "none", "-c", CIPHER, "-p", str(sshd.port), "-i", str(folder / "key"))
    given = [part for option in options for part in ("-o", option)]
    forward = ("-L", f"{LOOPBACK}:{theirs}:localhost:{far}", f"{sshd.user}@{LOOPBACK}")
    carrier = (str(Path(__file__).with_name("carrier.py")), str(folder), str(sshd.port), str(far), str(ours))
    try:
        async with (
            child(sys.executable, str(Path(__file__).with_name("far_end.py")), str(far), port=far),
            child(*command, *given, *forward, port=theirs, HOME=str(folder)) as ssh,
            child(sys.executable, *carrier, port=ours) as manager,
        ):
            yield Contestant(ours, manager), Contestant(theirs, ssh), Contestant(far)
    finally:
        await sshd.kill()


def pull(port: int, size: int) -> float:
    """Read so many bytes; returns for how many seconds."""
    with socket.create_connection((LOOPBACK, port)) as connection:
        connection.sendall(b"%d\n" % size)
        started, left, room = time.perf_counter(), size, bytearray(256 * 1024)
        while left:
            read = connection.recv_into(room)
            assert read, f"{left} bytes are missing"
            left -= read
        return time.perf_counter() - started


def ask(port: int) -> float:
    """Ask small questions, one after another; returns the median of the milliseconds until the answer."""
    waits = []
    with socket.create_connection((LOOPBACK, port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(ASKED):
            started = time.perf_counter()
            connection.sendall(b"0000000010\n")
            left = 10
            while left:
                left -= len(connection.recv(left))
            waits.append((time.perf_counter() - started) * 1000)
    return median(waits)
