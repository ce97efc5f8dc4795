"""`shoal-agent instance`, as a real process; what its SSH server does is tested where it is used."""

import asyncio
import contextlib
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import httpx
import pytest
from agent_doubles import Ingest, eventually, pairing_with

from shoal_agent.host import Host
from shoal_agent.instance.folder import Folder
from shoal_agent.instance.limits import limit_memory
from shoal_agent.state import StateDirectory

HOST = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250}.9"


def given(path: Path, **settings: object) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "host_key").write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
    (path / "clawdbot.json").write_text('{"key": "${ANTHROPIC_API_KEY}"}')
    (path / "authorized_keys").write_text("")
    known = {"name": "bot-alpha", "agent_id": "instance_1", "gateway_url": "http://127.0.0.1:9", "host": HOST}
    ports = {"desktop_port": 30100, "terminal_port": 30101}
    (path / "settings.json").write_text(json.dumps(known | ports | settings))
    return path


async def start(folder: Path, *arguments: str, **variables: str) -> Process:
    command = [sys.executable, "-m", "shoal_agent", "instance", "--dir", str(folder), *arguments]
    environment = {"PATH": os.defpath, "HOME": str(folder), **variables}
    return await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=environment)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Process]:
    process = await start(given(tmp_path / "i"))
    await eventually((tmp_path / "i" / "ready.json").exists, 10)
    yield process
    if process.returncode is None:
        process.terminate()
    await asyncio.wait_for(process.communicate(), 10)


async def test_it_says_when_everything_is_served_and_ends_in_order(running: Process, tmp_path: Path) -> None:
    ready = json.loads((tmp_path / "i" / "ready.json").read_text())
    assert ready["pid"] == running.pid
    async with httpx.AsyncClient(trust_env=False) as client:
        assert "bot-alpha" in (await client.get(f"http://{HOST}:30100/vnc.html?autoconnect=true")).text
        status = (await client.get(f"http://127.0.0.1:{ready['gateway_port']}/")).json()
    assert (status["instance"], status["status"], status["telemetry"]) == ("bot-alpha", "running", "not paired")
    running.terminate()
    assert await asyncio.wait_for(running.wait(), 10) == 0
    log = (tmp_path / "i" / "instance.log").read_text()
    assert "clawdbot.json: 31 bytes; without ANTHROPIC_API_KEY" in log
    assert log.endswith("Stopped\n")


async def test_a_folder_is_served_by_one_process(running: Process, tmp_path: Path) -> None:
    second = await start(tmp_path / "i")
    await asyncio.wait_for(second.communicate(), 10)
    assert second.returncode == 6


async def test_what_it_is_given_may_be_mounted_elsewhere(tmp_path: Path) -> None:
    process = await start(
        tmp_path / "own" / "deep",
        *("--given", str(given(tmp_path / "given", is_logging_to_stdout=True))),
        ANTHROPIC_API_KEY="sk-secret",
    )
    await eventually((tmp_path / "own" / "deep" / "ready.json").exists, 10)
    process.terminate()
    out, _ = await asyncio.wait_for(process.communicate(), 10)
    assert b"Starting instance bot-alpha" in out
    assert b"sk-secret" not in out
    assert {path.name for path in (tmp_path / "given").iterdir()} == {
        *("host_key", "clawdbot.json", "authorized_keys", "settings.json"),
    }


async def test_it_is_held_to_its_limits_and_says_which_hold(tmp_path: Path) -> None:
    process = await start(given(tmp_path / "i", cpu_limit=0.5, memory_limit=1024**3))
    await eventually((tmp_path / "i" / "ready.json").exists, 10)
    cores = len(os.sched_getaffinity(0))
    assert len(os.sched_getaffinity(process.pid)) == 1
    process.terminate()
    await asyncio.wait_for(process.communicate(), 10)
    log = (tmp_path / "i" / "instance.log").read_text()
    assert "memory is limited to 1073741824 bytes for each process" in log
    assert ("processors are limited to 1 of" in log) is (cores > 1)


def test_a_limit_beyond_what_the_system_can_count_is_none() -> None:
    assert limit_memory(10**31).startswith("memory is not limited")


async def test_with_a_cgroup_limits_hold_for_all_of_its_processes_together(tmp_path: Path) -> None:
    cgroup = tmp_path / "cgroup"  # looks like one: few machines lend one to a test
    cgroup.mkdir()
    for name in ("cgroup.procs", "memory.max", "cpu.max"):
        (cgroup / name).touch()
    process = await start(given(tmp_path / "i", cgroup=str(cgroup), cpu_limit=0.5, memory_limit=1024**3))
    await eventually((tmp_path / "i" / "ready.json").exists, 10)
    assert os.sched_getaffinity(process.pid) == os.sched_getaffinity(0)
    process.terminate()
    await asyncio.wait_for(process.communicate(), 10)
    log = (tmp_path / "i" / "instance.log").read_text()
    assert "memory is limited to 1073741824 bytes for all processes together" in log
    assert "processors are limited to 0.5 of" in log
    written = [(cgroup / name).read_text() for name in ("cgroup.procs", "memory.max", "cpu.max")]
    assert written == ["0", "1073741824", "50000 100000"]


async def test_what_a_cgroup_does_not_limit_is_limited_without_it(tmp_path: Path) -> None:
    cgroup, offers = lent_cgroup(), ""
    try:
        process = await start(given(tmp_path / "i", cgroup=str(cgroup), cpu_limit=0.5, memory_limit=1024**3))
        await eventually((tmp_path / "i" / "ready.json").exists, 10)
        if cgroup.exists():
            assert f"/{cgroup.name}\n" in (Path("/proc") / str(process.pid) / "cgroup").read_text()
            offers = (cgroup / "cgroup.controllers").read_text()
        process.terminate()
        await asyncio.wait_for(process.communicate(), 10)
    finally:
        if cgroup.exists():
            cgroup.rmdir()
    log = (tmp_path / "i" / "instance.log").read_text()
    holds_for = "all processes together" if "memory" in offers else "each process"
    assert f"memory is limited to 1073741824 bytes for {holds_for}" in log


def lent_cgroup() -> Path:
    """Make a real cgroup where this machine lets us; elsewhere the path is of none."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if " - cgroup2 " in line:
            cgroup = Path(line.split()[4]) / f"shoal-test-{os.getpid()}"
            with contextlib.suppress(OSError):
                cgroup.mkdir()
            return cgroup
    return Path("/nowhere")


@pytest.mark.parametrize("is_alone", [True, False])
async def test_it_tells_what_itself_takes_or_its_whole_machine(
    tmp_path: Path, ingest: Ingest, *, is_alone: bool
) -> None:
    path = given(tmp_path / "i", interval_s=0.1, is_measured_alone=is_alone)
    StateDirectory.at(path / "agent").save_pairing(pairing_with(ingest))
    process = await start(path)
    await eventually(lambda: ingest.of_type("metrics"), 10)
    process.terminate()
    await asyncio.wait_for(process.communicate(), 10)
    told, whole = ingest.of_type("metrics")[0]["data"]["memory_mb"], (await Host().read()).memory_mb
    assert (5 < told < 150) if is_alone else (told > whole / 2)


async def test_in_a_container_it_tells_what_the_containers_cgroup_counts(tmp_path: Path, ingest: Ingest) -> None:
    cgroup = tmp_path / "cgroup"
    cgroup.mkdir()
    for name, content in {"memory.current": f"{777 << 20}", "memory.stat": "", "cpu.stat": "usage_usec 1"}.items():
        (cgroup / name).write_text(content)
    path = given(tmp_path / "i", interval_s=0.1, is_measured_alone=True, own_cgroup=str(cgroup))
    StateDirectory.at(path / "agent").save_pairing(pairing_with(ingest))
    process = await start(path)
    await eventually(lambda: ingest.of_type("metrics"), 10)
    process.terminate()
    await asyncio.wait_for(process.communicate(), 10)
    assert ingest.of_type("metrics")[0]["data"]["memory_mb"] == 777


async def test_it_ends_when_nobody_looks_after_it(tmp_path: Path) -> None:
    heartbeat = tmp_path / "heartbeat"
    heartbeat.touch()
    os.utime(heartbeat, (time.time() - 60,) * 2)
    process = await start(given(tmp_path / "i", heartbeat=str(heartbeat), alone_grace_s=30))
    assert await asyncio.wait_for(process.wait(), 15) == 0


async def test_settings_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    process = await start(tmp_path / "i")
    _, err = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 2
    assert b"settings.json" in err


def test_keys_are_taken_once_and_others_stay(tmp_path: Path) -> None:
    folder = Folder(given(tmp_path / "i"))
    keys = tmp_path / "i" / "authorized_keys"
    keys.write_text("old\n")
    assert folder.take_keys()
    folder.home_keys.write_text("foreign\nnew\n")  # as a rotation leaves it, before the given key follows
    assert not folder.take_keys()
    keys.write_text("new\n")
    assert folder.take_keys()
    assert folder.home_keys.read_text() == "foreign\nnew\n"
