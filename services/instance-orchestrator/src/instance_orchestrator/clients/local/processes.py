"""Processes that outlive us: started in a session of their own, known again by pid and start time."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

STOP_S = 8.0
"""How long a process may take to say goodbye."""
_POLL_S = 0.02
_SAME_START_S = 0.05


def spawn(folder: Path, log: Path, environment: Mapping[str, str]) -> tuple[int, float]:
    """Start an instance's process; returns its pid and when it started.

    Not by `subprocess`: its objects, and asyncio's transports, take their children with them.

    Raises:
        OSError: It cannot be started.
    """
    command = [sys.executable, "-m", "shoal_agent", "instance", "--dir", str(folder)]
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        sys.executable,
        command,
        dict(environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGPIPE],
        setsigmask=[],
    )
    return pid, psutil.Process(pid).create_time()


def is_alive(pid: int, started: float) -> bool:
    """Tell whether this very process still runs; reaps it when it was our child and has ended."""
    with contextlib.suppress(ChildProcessError):
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    try:
        process = psutil.Process(pid)
        is_same = abs(process.create_time() - started) < _SAME_START_S
        return is_same and bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def stop_holder(pid: int) -> None:
    """End a process of which only the pid is known."""
    with contextlib.suppress(psutil.NoSuchProcess):
        await stop(pid, psutil.Process(pid).create_time())


async def stop(pid: int, started: float) -> None:
    """End a process and whatever it started: asks, and after a while no longer asks."""
    if not is_alive(pid, started):
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + STOP_S
    while is_alive(pid, started):
        if loop.time() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        await asyncio.sleep(_POLL_S)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)  # what it left behind


def end_strays(home: Path) -> None:
    """End whatever else lives in a home, such as what left the group of the process that started it."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get("HOME") == str(home):
                process.kill()
