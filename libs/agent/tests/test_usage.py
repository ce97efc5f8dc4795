"""What an instance takes: of its cgroup, or of its process and those that it started."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from shoal_agent.host import MIB, Host
from shoal_agent.instance.limits import allowed_cores
from shoal_agent.instance.usage import InstanceUsage

GREEDY = """
import os, sys, time
held = b"x" * (200 << 20)
if os.fork() == 0:  # it does the work, a grandchild
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    os._exit(0)
os.wait()
print("done", flush=True)
sys.stdin.read()
"""


async def test_memory_and_time_of_processes_that_were_started_are_an_instances_own() -> None:
    gauges = InstanceUsage()
    before = await gauges.read()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", GREEDY, stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None
    await process.stdout.readline()
    during = await gauges.read()
    await process.communicate(b"")
    after = await gauges.read()
    assert 200 <= during.memory_mb - before.memory_mb < 300
    assert during.cpu_percent > 0
    assert after.memory_mb < during.memory_mb - 150
    assert before.memory_mb < (await Host().read()).memory_mb


def cgroup(path: Path, **files: str) -> Path:
    """A folder that looks like a cgroup: few machines lend one to a test."""
    path.mkdir()
    for name, content in files.items():
        (path / name.replace("_", ".")).write_text(content)
    return path


async def test_of_a_cgroup_are_its_working_set_and_the_share_of_what_it_may_take(tmp_path: Path) -> None:
    given = cgroup(
        tmp_path / "cgroup",
        memory_current=f"{300 * MIB}\n",
        memory_stat=f"anon {100 * MIB}\ninactive_file {60 * MIB}\n",
        cpu_stat="usage_usec 1000000\nuser_usec 900000\n",
        cpu_max="50000 100000\n",
    )
    gauges = InstanceUsage(given)
    assert (await gauges.read()).memory_mb == 240
    (given / "cpu.stat").write_text("usage_usec 31000000\n")
    assert (await gauges.read()).cpu_percent == 100


async def test_a_cgroup_that_counts_no_memory_is_not_asked(tmp_path: Path) -> None:
    assert (await InstanceUsage(cgroup(tmp_path / "cgroup", cpu_stat="usage_usec 1\n")).read()).memory_mb > 10


def test_a_limit_is_what_processors_are_a_share_of(tmp_path: Path) -> None:
    there = len(os.sched_getaffinity(0))
    assert allowed_cores() == there
    assert allowed_cores(cgroup(tmp_path / "half", cpu_max="50000 100000\n")) == 0.5
    assert allowed_cores(cgroup(tmp_path / "all", cpu_max="max 100000\n")) == there
    assert allowed_cores(tmp_path / "gone") == there
