"""What an instance may take of the machine: all of its processes together where it has a cgroup, else each of them."""

import contextlib
import math
import os
import random
import resource
from pathlib import Path

LEAST_BYTES = 192 * 1024 * 1024
"""Below this the instance itself could not start."""
PERIOD_US = 100_000


def join(cgroup: str) -> Path | None:
    """Put this process, and each one that it starts, into a cgroup; None where there is none or that is refused."""
    return Path(cgroup) if cgroup and _put(Path(cgroup) / "cgroup.procs", "0") else None


def limit_memory(most: int, cgroup: Path | None = None) -> str:
    """Hold this process and those that it starts to so many bytes of memory of their own; says what holds now."""
    wanted = max(most, LEAST_BYTES) if most > 0 else 0
    if cgroup is not None and _put(cgroup / "memory.max", str(wanted or "max")) and wanted:
        return f"memory is limited to {wanted} bytes for all processes together"
    if not wanted:
        return "memory is not limited"
    try:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
    except (OSError, ValueError, OverflowError) as error:
        return f"memory is not limited ({error})"
    return f"memory is limited to {allowed} bytes for each process"


def limit_cores(most: float, cgroup: Path | None = None) -> str:
    """Hold this process and those that it starts to so many cores; says what holds now.

    Without a cgroup they are whole ones, some at random: a part of one counts as one.
    """
    try:
        there = sorted(os.sched_getaffinity(0))
        wanted = most if 0 < most < len(there) else 0
        quota = f"{max(1000, round(wanted * PERIOD_US)) if wanted else 'max'} {PERIOD_US}"
        if cgroup is not None and _put(cgroup / "cpu.max", quota) and wanted:
            return f"processors are limited to {wanted:g} of {len(there)} for all processes together"
        if not wanted or math.ceil(wanted) == len(there):
            return "processors are not limited"
        os.sched_setaffinity(0, random.sample(there, math.ceil(wanted)))
    except (OSError, ValueError, AttributeError) as error:
        return f"processors are not limited ({error})"
    return f"processors are limited to {math.ceil(wanted)} of {len(there)}"


def allowed_cores(cgroup: Path | None = None) -> float:
    """Tell how many cores this process and those that it starts may take together, by what holds now."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cgroup is not None:
        with contextlib.suppress(OSError, ValueError):
            quota, period = (cgroup / "cpu.max").read_text().split()
            return min(int(quota) / int(period), there)
    return there


def _put(file: Path, content: str) -> bool:
    """Write to a file of a cgroup, if there is such a file and we may."""
    try:
        with file.open("r+b", buffering=0) as output:
            output.write(content.encode())
    except OSError:
        return False
    return True
