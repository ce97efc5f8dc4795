"""The ways into instances: what a command costs, how soon a connection is back, what a hundred of them weigh."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from pathlib import Path
from statistics import median

import asyncssh
from stack import Stack
from stack.figures import proportional, resident
from stack.played import PlayedInstance

from bench.rows import Row, Scale, bench_stack
from shoal.testing.sshd import Sshd, openssh
from shoal.testing.suite import eventually
from ssh_manager.dialing import Dialing, prove
from ssh_manager.ports import Identity, Instance, Status

SERVICE = "ssh-manager"
EXEC_RATIO, RECONNECT_S, RESTART_S, MANY, MANY_MIB = 1.3, 5.0, 15.0, 100, 200
OUTAGES_S = (0.5, 2.0, 5.0)


async def run(scale: Scale) -> list[Row]:
    """Commands beside bare asyncssh, then outages and a hundred instances of a whole suite."""
    with tempfile.TemporaryDirectory(prefix="shoal-ssh-", ignore_cleanup_errors=True) as folder:
        sshd = Sshd(Path(folder) / "sshd")
        rows = await commands(sshd, 30 if scale.quick else 200)
        async with bench_stack() as stack:
            rows.append(await outages(stack, Path(folder), OUTAGES_S[: 1 if scale.quick else None]))
            rows += await many(stack, Path(folder), 20 if scale.quick else MANY)
    return rows


async def commands(sshd: Sshd, count: int) -> list[Row]:
    """Run commands over a connection as ssh-manager makes it and over one that asyncssh makes by itself, in turns."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    sshd.admit(key.export_public_key().decode().strip())
    await sshd.start()
    try:
        async with await ours(sshd, key) as own, await bare(sshd, key) as other:
            standing = await in_turns(count, lambda: prove(own, within_s=10), lambda: echo(other))
        connecting = await in_turns(count // 5, lambda: once(ours(sshd, key)), lambda: once(bare(sshd, key)))
    finally:
        await sshd.kill()
    what = "OpenSSH" if openssh() else "asyncssh's server"
    return [
        _compared(f"ssh: a command over a standing connection ({what}), p50", *standing),
        _compared(f"ssh: connect, sign in, run a command, close ({what}), p50", *connecting),
    ]


def _compared(what: str, own_ms: float, bare_ms: float) -> Row:
    return Row(
        what,
        f"{own_ms:.1f} ms",
        f"bare asyncssh {bare_ms:.1f} ms",
        ratio=own_ms / bare_ms,
        bar=f"≤ {EXEC_RATIO}",
        holds=own_ms / bare_ms <= EXEC_RATIO,
    )


async def outages(stack: Stack, folder: Path, lengths_s: tuple[float, ...]) -> Row:
    """Kill sshd for so long; how soon after its return the instance is connected."""
    took = []
    async with standing(stack, folder, 9600) as (instance, sshd):
        for length_s in lengths_s:
            await sshd.kill()
            await instance.until_state("reconnecting")
            await asyncio.sleep(length_s)
            await sshd.start()
            took.append(await instance.until_state("connected"))
    return Row(
        f"ssh: connected again after sshd was away for {', '.join(f'{one:g}' for one in lengths_s)} s, worst",
        f"{max(took):.2f} s",
        bar=f"≤ {RECONNECT_S:.0f} s",
        holds=max(took) <= RECONNECT_S,
    )


async def many(stack: Stack, folder: Path, count: int) -> list[Row]:
    """Connect many instances, each with its two tunnels; what the process weighs, and how soon another one has them."""
    before = resident(stack.process(SERVICE).pid)
    first = PlayedInstance(stack, folder / "many", 9700)
    await first.listen()
    instances = [first, *(first.twin(9701 + number) for number in range(count - 1))]
    try:
        await by_tens(instances, PlayedInstance.appear)
        await eventually(lambda: are_connected(stack, count), within_s=120)
        await stack.kill(SERVICE)
        started = time.monotonic()
        await stack.start(SERVICE, until_ready=False)
        await stack.until_ready(SERVICE)
        await eventually(lambda: are_connected(stack, count), within_s=120)
        took = time.monotonic() - started
        await asyncio.sleep(3)
        pid = stack.process(SERVICE).pid
        after, share = resident(pid), proportional(pid)
    finally:
        await by_tens(instances, PlayedInstance.vanish)
        await first.close()
    return [
        Row(
            f"ssh: {count} instances connected, each with two tunnels: memory of the process",
            f"{after:.0f} MiB ({share:.0f} MiB PSS)",
            f"{before:.0f} MiB with none",
            bar=f"≤ {MANY_MIB} MiB",
            holds=after <= MANY_MIB,
        ),
        Row(
            f"ssh: {count} instances connected again after ssh-manager was killed and started",
            f"{took:.1f} s",
            bar=f"≤ {RESTART_S:.0f} s",
            holds=took <= RESTART_S,
        ),
    ]


async def by_tens(
    instances: Sequence[PlayedInstance], act: Callable[[PlayedInstance], Coroutine[None, None, None]]
) -> None:
    """Do something to many instances, to ten at once."""
    for start in range(0, len(instances), 10):
        await asyncio.gather(*(act(one) for one in instances[start : start + 10]))


async def are_connected(stack: Stack, count: int) -> bool:
    """Ask whether so many instances are connected."""
    return bool((await stack.admin.get("/api/v1/ssh-status"))["connected"] >= count)


@contextlib.asynccontextmanager
async def standing(stack: Stack, folder: Path, number: int) -> AsyncIterator[tuple[PlayedInstance, Sshd]]:
    """Lend an instance behind OpenSSH, connected."""
    instance, sshd = PlayedInstance(stack, folder / "played", number), Sshd(folder / "behind")
    instance.behind(sshd)
    await sshd.start()
    try:
        await instance.appear()
        await instance.until_state("connected")
        yield instance, sshd
    finally:
        await instance.vanish()
        await sshd.kill()


async def in_turns(
    count: int, own: Callable[[], Awaitable[None]], other: Callable[[], Awaitable[None]]
) -> tuple[float, float]:
    """Do both by turns; returns the median milliseconds of each."""
    took: tuple[list[float], list[float]] = ([], [])
    for number in range(count + 2):
        for act, times in zip((own, other), took, strict=True):
            started = time.perf_counter()
            await act()
            if number >= 2:  # the first ones warm up
                times.append((time.perf_counter() - started) * 1000)
    return median(took[0]), median(took[1])


async def once(connecting: Awaitable[asyncssh.SSHClientConnection]) -> None:
    """Connect for one command."""
    async with await connecting as connection:
        await echo(connection)


async def echo(connection: asyncssh.SSHClientConnection) -> None:
    """Run the command of the health check."""
    await connection.run("echo ping")


async def bare(sshd: Sshd, key: asyncssh.SSHKey) -> asyncssh.SSHClientConnection:
    """Connect as asyncssh does by itself."""
    return await asyncssh.connect(
        *(sshd.host, sshd.port),
        username=sshd.user,
        client_keys=[key],
        known_hosts=([asyncssh.import_public_key(sshd.host_public_key)], [], []),
        config=None,
        agent_path=None,
    )


async def ours(sshd: Sshd, key: asyncssh.SSHKey) -> asyncssh.SSHClientConnection:
    """Connect as ssh-manager does."""
    instance = Instance(
        id=1,
        account_id="acct_1",
        name="bot-alpha",
        display_name="Bot Alpha",
        status=Status.RUNNING,
        ssh_host=sshd.host,
        ssh_port=sshd.port,
        ssh_user=sshd.user,
        host_public_key=sshd.host_public_key,
        version=1,
    )
    dialing = Dialing(timedelta(seconds=5), timedelta(seconds=10))
    return await dialing.dial(instance, [Identity(1, "", "", key)])
