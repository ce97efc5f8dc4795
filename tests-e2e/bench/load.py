"""Load on HTTP: wrk, which costs little beside what it measures."""

import asyncio
import re
import shutil

from msgspec import Struct

from bench.processes import FRONT, MissingError

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


class Load(Struct, frozen=True):
    """What wrk saw: requests a second, percentiles in milliseconds, answers that were no success."""

    rate: float
    p50_ms: float
    p99_ms: float
    errors: int


async def wrk(url: str, *, connections: int, seconds: float, core: int | None = FRONT, **headers: str) -> Load:
    """Ask one URL over and over.

    Raises:
        MissingError: wrk is not installed.
    """
    if shutil.which("wrk") is None:
        raise MissingError("wrk is not installed: apt-get install wrk")
    options = [f"-c{connections}", "-t1", f"-d{max(1, round(seconds))}s", "--latency", "--timeout", "10s"]
    options += [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    process = await asyncio.create_subprocess_exec(*pinned, "wrk", *options, url, stdout=asyncio.subprocess.PIPE)
    output = (await process.communicate())[0].decode()
    failures = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    return Load(
        rate=float(_find(r"Requests/sec:\s+([\d.]+)", output)),
        p50_ms=_latency("50%", output),
        p99_ms=_latency("99%", output),
        errors=int(failures[1] if failures else 0) + sum(int(n) for n in (broken.groups() if broken else ())),
    )


def _find(pattern: str, output: str) -> str:
    found = re.search(pattern, output)
    if found is None:
        raise RuntimeError(f"wrk said: {output}")
    return found[1]


def _latency(share: str, output: str) -> float:
    found = re.search(rf"{share}\s+([\d.]+)(us|ms|s)\b", output)
    if found is None:
        raise RuntimeError(f"wrk said: {output}")
    return float(found[1]) * _UNITS[found[2]]
