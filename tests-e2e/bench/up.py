"""`shoal up`: how soon it is ready, and what it costs when nothing happens."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
from stack.figures import percentile, proportional

from bench.rows import Row, Scale
from shoal_embedded.ports import LOOPBACK, free_port

COLD_S, WARM_S, IDLE_MIB, LAG_MS = 15.0, 6.0, 500.0, 50.0
IDLE_S = 60.0


async def run(scale: Scale) -> list[Row]:
    """Start it in an empty folder, and again; then watch it do nothing."""
    idle_s = 10.0 if scale.quick else IDLE_S
    with tempfile.TemporaryDirectory(prefix="shoal-up-", ignore_cleanup_errors=True) as folder:
        async with suite(Path(folder)) as (_, cold_s, _):
            pass
        warm = []
        for _ in range(scale.rounds - 1):
            async with suite(Path(folder)) as (_, warm_s, _):
                warm.append(warm_s)
        async with suite(Path(folder)) as (pid, warm_s, url):
            warm.append(warm_s)
            lags = await watch(url, idle_s)
            used = Counter[str]()
            for process in family(pid):
                used[process.name()] += proportional(process.pid)
            total = used.total()
            parts = ", ".join(f"{name} {mib:.0f}" for name, mib in used.most_common(3))
    warm_s, lag = sorted(warm)[len(warm) // 2], percentile(lags, 0.99)
    return [
        Row("shoal up: ready, first time (empty folder)", f"{cold_s:.1f} s", bar=f"≤ {COLD_S:g} s",
            holds=cold_s <= COLD_S),
        Row("shoal up: ready, warm", f"{warm_s:.1f} s", bar=f"≤ {WARM_S:g} s", holds=warm_s <= WARM_S),
        Row(f"shoal up: whole suite after {idle_s:.0f} s idle with one agent, summed PSS", f"{total:.0f} MiB",
            f"largest: {parts}", bar=f"≤ {IDLE_MIB:.0f} MiB", holds=total <= IDLE_MIB),
        Row("shoal up: loop lag p99 (seen from outside: /healthz, so an upper bound)", f"{lag:.1f} ms",
            bar=f"≤ {LAG_MS:g} ms", holds=lag <= LAG_MS),
    ]  # fmt: skip


@contextlib.asynccontextmanager
async def suite(folder: Path) -> AsyncIterator[tuple[int, float, str]]:
    """Run `shoal up`; yields its process id, after how many seconds it was ready, and its address."""
    port, started = free_port(), time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shoal", "up", "--plain", "--port", str(port), "--state", str(folder / ".shoal"),
        env={"PATH": os.environ["PATH"], "HOME": str(folder)}, cwd=folder, start_new_session=True,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        said = await until_ready(process)
        took = time.monotonic() - started
        assert process.stdout is not None
        reading = asyncio.ensure_future(process.stdout.read())
        yield process.pid, took, f"http://{LOOPBACK}:{port}"
        reading.cancel()
        assert re.search(r"http://\S+", said), said
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            try:
                await asyncio.wait_for(process.wait(), 30)
            except TimeoutError:
                process.kill()
                await process.wait()


async def until_ready(process: asyncio.subprocess.Process) -> str:
    """Read what it says until it says that it is ready."""
    assert process.stdout is not None
    said = ""
    async with asyncio.timeout(90):
        while "Ctrl-C" not in said:
            line = (await process.stdout.readline()).decode()
            assert line, f"shoal up ended: {said}"
            said += line
    return said


async def watch(url: str, seconds: float) -> list[float]:
    """Ask whether it lives, ten times a second; returns how many milliseconds each answer took."""
    times, until = [], time.monotonic() + seconds
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        while time.monotonic() < until:
            started = time.perf_counter()
            await client.get("/healthz")
            times.append((time.perf_counter() - started) * 1000)
            await asyncio.sleep(0.1)
    return times


def family(pid: int) -> list[psutil.Process]:
    """Give a process and all its children."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]
