"""What an instance takes of the machine: all of its processes together."""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from shoal_agent.host import MIB, Usage
from shoal_agent.instance.limits import allowed_cores

_SHORTEST_S = 0.001


class InstanceUsage:
    """Gauges of an instance, read by the process that serves it.

    Its cgroup tells them where it has one that counts memory; else they are summed up over the process and those that
    it started, theirs too, and what left them, as by `setsid`, is not among them.

    Args:
        cgroup: Where all of its processes are; None where there is no such place.
    """

    def __init__(self, cgroup: Path | None = None) -> None:
        self._cgroup = cgroup if cgroup is not None and (cgroup / "memory.current").exists() else None
        self._cores = allowed_cores(cgroup)
        self._before = time.monotonic(), self._taken()[1]

    async def read(self) -> Usage:
        """Read memory, and processors as a share of the cores that the instance may take."""
        memory, seconds = await asyncio.to_thread(self._taken)
        now, (then, before) = time.monotonic(), self._before
        self._before = now, seconds
        share = (seconds - before) / max(now - then, _SHORTEST_S) / self._cores
        return Usage(memory_mb=memory // MIB, cpu_percent=round(100 * min(max(share, 0.0), 1.0), 1))

    def _taken(self) -> tuple[int, float]:
        """Bytes of memory now, and the time of processors so far, in seconds."""
        if self._cgroup is not None:
            return _of_cgroup(self._cgroup)
        taken = [_of_process(pid) for pid in _tree(os.getpid())]
        return sum(memory for memory, _ in taken), sum(seconds for _, seconds in taken)


def _of_cgroup(cgroup: Path) -> tuple[int, float]:
    memory, times = _figures(cgroup / "memory.stat"), _figures(cgroup / "cpu.stat")
    current = int((cgroup / "memory.current").read_text())
    return max(0, current - memory.get("inactive_file", 0)), times["usage_usec"] / 1e6


def _figures(file: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in file.read_text().splitlines())}


def _of_process(pid: int) -> tuple[int, float]:
    """What has ended takes nothing, and its time is among that of whoever started it."""
    memory, seconds = 0, 0.0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        times = process.cpu_times()
        seconds = times.user + times.system + times.children_user + times.children_system
        full = process.memory_full_info()
        memory = getattr(full, "pss", full.rss)  # what processes share counts once
    return memory, seconds


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for child in _children(pid):
        yield from _tree(child)


def _children(pid: int) -> list[int]:
    """List what a process started; by files that not every system has, for the other way reads of every process."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for one in threads for child in (one / "children").read_text().split()]
    except OSError:
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children()]
    return []
