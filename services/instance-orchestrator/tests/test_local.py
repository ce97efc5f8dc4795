"""Instances as processes of this machine: what they serve, and what they survive."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import asyncssh
import httpx
import psutil
import pytest
from orchestrator_door import INSTANCES, Door, Open
from websockets.asyncio.client import connect

from shoal.testing.suite import eventually
from shoal_events import (
    InstanceRunning,
    InstanceSshKeyApplied,
    InstanceStopped,
    PairingDeleted,
    PairingOpened,
    SshKeyCreated,
    SshKeyRotated,
)


def folder(state: Path, instance_id: int = 1, name: str = "bot-alpha") -> Path:
    return state / "instances" / f"{instance_id}-{name}"


def pid_of(state: Path, instance_id: int = 1, name: str = "bot-alpha") -> int:
    return int(json.loads((folder(state, instance_id, name) / "process.json").read_text())["pid"])


def processes_in(state: Path) -> list[int]:
    """Find every living process that serves a folder of this test."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = process.info["cmdline"] or []
        if any(part.startswith(str(state)) for part in command) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


async def give_key(door: Door, key: asyncssh.SSHKey, version: int = 1, kind: type = SshKeyCreated) -> None:
    """Tell of a key as ssh-manager does, and wait until the instance has it."""
    line = key.export_public_key().decode().strip()
    told = kind(
        instance_id="1", account_id="acct_1", public_key=line, fingerprint=key.get_fingerprint(), version=version
    )
    await door.suite.publish(told, event_id=f"00000000-0000-4000-8000-00000000000{version}")
    applied = await door.suite.events(InstanceSshKeyApplied, count=version)
    assert (applied[-1].fingerprint, applied[-1].key_version) == (key.get_fingerprint(), version)


async def sign_in(door: Door, key: asyncssh.SSHKey) -> asyncssh.SSHClientConnection:
    """Sign in as ssh-manager would, with nothing but what the events tell."""
    reached = (await door.suite.events(InstanceRunning))[-1]
    host = asyncssh.import_public_key(reached.host_public_key)
    return await asyncssh.connect(
        reached.ssh_host,
        reached.ssh_port,
        username=reached.ssh_user,
        client_keys=[key],
        known_hosts=([host], [], []),
        config=None,
        agent_path=None,
    )


async def read_log(door: Door, **query: Any) -> list[str]:
    answer = await door.admin.get(f"{INSTANCES}/1/logs", params={"follow": "false", **query})
    assert answer.headers["content-type"].startswith("text/event-stream")
    return answer.text.split("\n\n")


async def test_an_instance_runs_within_seconds_and_serves_its_pages(door: Door, state: Path) -> None:
    await door.create()
    await door.until_status(1, "running")
    (reached,) = await door.suite.events(InstanceRunning)
    assert (reached.ssh_host, reached.ssh_user) == ("127.0.0.1", "shoal")
    assert reached.host_public_key.startswith("ssh-ed25519 ")
    place = f"{door.settings['SHOAL_NODE_ADDRESS']}:30100"
    async with httpx.AsyncClient(trust_env=False) as client:
        page = await client.get(f"http://{place}/vnc.html?autoconnect=true")
        assert "bot-alpha" in page.text
        assert (await client.get(f"http://{place[:-1]}1/vnc.html")).status_code == 200
        rebound = await client.get(f"http://{place}/vnc.html", headers={"host": "evil.example:30100"})
        assert rebound.status_code == 403
    async with connect(f"ws://{place}/log", proxy=None) as socket:
        assert "Starting instance bot-alpha" in await socket.recv()
    assert json.loads((folder(state) / "settings.json").read_text())["is_measured_alone"]
    assert oct((folder(state) / "host_key").stat().st_mode)[-3:] == "600"


async def test_the_log_is_a_stream_of_exact_frames(door: Door, state: Path) -> None:
    await door.create()
    await door.until_status(1, "running")
    with (folder(state) / "instance.log").open("a") as log:
        log.write("one\ntwo \r event: x\nthree\xa0\n")
    frames = await read_log(door, tail=3)
    assert frames == ["data: one", "data: two   event: x", "data: three\xa0", ""]
    assert len(await read_log(door, tail="nonsense")) > 4
    assert await read_log(door, tail=0) == [""]


async def test_a_followed_log_goes_on_and_ends_when_access_is_withdrawn(door: Door, state: Path) -> None:
    await door.create()
    await door.until_status(1, "running")
    await door.tell_user("user_alice")
    await door.assign("user_alice", 1)
    async with door.alice.stream("GET", f"{INSTANCES}/1/logs", params={"tail": 0}) as stream:
        lines = stream.aiter_lines()
        with (folder(state) / "instance.log").open("a") as log:
            log.write("a line that comes later\n")
        assert await anext(lines) == "data: a line that comes later"
        await door.assign("user_alice")
        async with asyncio.timeout(5):
            async for _ in lines:
                pass


async def test_a_log_followed_from_the_creation_on_waits_for_its_first_line(door: Door) -> None:
    await door.create()
    async with asyncio.timeout(10), door.admin.stream("GET", f"{INSTANCES}/1/logs", params={"tail": 20}) as stream:
        assert "Starting instance bot-alpha" in await anext(line async for line in stream.aiter_lines() if line)


async def test_a_log_followed_before_its_instance_is_made_ends_when_that_is_deleted(idle: Door, state: Path) -> None:
    await idle.create()
    assert await read_log(idle) == [""]
    assert not folder(state).exists()
    async with asyncio.timeout(10), idle.admin.stream("GET", f"{INSTANCES}/1/logs") as stream:
        rest = asyncio.create_task(stream.aread())
        assert not (await asyncio.wait([rest], timeout=0.5))[0]
        await idle.admin.delete(f"{INSTANCES}/1")
        assert await rest == b""


async def test_ssh_lets_in_the_key_that_was_given_and_nobody_else(door: Door) -> None:
    await door.create()
    await door.until_status(1, "running")
    key, other = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    await give_key(door, key)

    async def is_let_in() -> bool:
        try:
            async with await sign_in(door, key) as connection:
                return (await connection.run("echo $USER; pwd")).stdout.startswith("shoal\n/")
        except asyncssh.PermissionDenied:
            return False

    await eventually(is_let_in)
    with pytest.raises(asyncssh.PermissionDenied):
        await sign_in(door, other)


async def test_ssh_has_commands_terminals_files_and_the_way_to_its_own_pages(door: Door) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    await door.create()
    await give_key(door, key)  # before it runs: it starts with the key
    await door.until_status(1, "running")
    async with await sign_in(door, key) as connection:
        done = await connection.run("cat; exit 3", input="x" * 200_000)
        assert (len(done.stdout), done.exit_status) == (200_000, 3)
        async with connection.create_process(term_type="xterm", term_size=(100, 30)) as terminal:
            terminal.stdin.write("stty size; exit\n")
            assert "30 100" in await terminal.stdout.read()
        async with connection.start_sftp_client() as files:
            lines = await files.open(".ssh/authorized_keys")
            assert key.export_public_key().decode().split()[1] in await lines.read()
        reader, writer = await connection.open_connection("localhost", 8080)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b'"status": "running"' in await reader.read()
        reader, writer = await connection.open_connection("127.0.0.1", 3000)
        writer.write(b"GET /vnc.html HTTP/1.1\r\nHost: localhost:3000\r\n\r\n")
        assert b"200 OK" in await reader.read()
        for place in (("127.0.0.1", 22), ("example.com", 8080)):
            with pytest.raises(asyncssh.ChannelOpenError, match="only localhost"):
                await connection.open_connection(*place)


async def test_a_rotated_key_replaces_the_old_one_and_leaves_foreign_keys(door: Door, state: Path) -> None:
    old, new = (asyncssh.generate_private_key("ssh-ed25519", comment="ssh-manager") for _ in range(2))
    await door.create()
    await give_key(door, old)
    await door.until_status(1, "running")
    keys = folder(state) / "home" / ".ssh" / "authorized_keys"
    keys.write_text(keys.read_text() + "ssh-ed25519 AAAA somebody else\n")
    pid = pid_of(state)
    await give_key(door, new, version=2, kind=SshKeyRotated)

    def lines() -> list[str]:
        return keys.read_text().splitlines()

    expected = ["ssh-ed25519 AAAA somebody else", new.export_public_key().decode().strip()]
    await eventually(lambda: lines() == expected, lines)
    assert pid_of(state) == pid  # keys are no reason to start anew


async def test_stop_start_and_restart_keep_what_the_instance_keeps(door: Door, state: Path) -> None:
    await door.create()
    await door.until_status(1, "running")
    (folder(state) / "home" / "kept").write_text("x")
    first = pid_of(state)
    await door.admin.post(f"{INSTANCES}/1/stop")
    await door.until_status(1, "stopped")
    assert processes_in(state) == []
    await door.admin.post(f"{INSTANCES}/1/start")
    await door.until_status(1, "running")
    second = pid_of(state)
    await door.admin.post(f"{INSTANCES}/1/restart")
    await eventually(lambda: pid_of(state) != second, within_s=15)
    await door.until_status(1, "running")
    assert len({first, second, pid_of(state)}) == 3
    assert (folder(state) / "home" / "kept").exists()
    reasons = [event.reason for event in await door.suite.events(InstanceStopped, count=2)]
    assert reasons == ["asked", "restarting"]


async def test_a_config_that_is_replaced_restarts_the_instance_once(door: Door, state: Path) -> None:
    await door.create()
    await door.until_status(1, "running")
    config = '{"key": "${ANTHROPIC_API_KEY}"}\n'
    await door.admin.put(f"{INSTANCES}/1/config", json={"config": config})
    await eventually(lambda: (folder(state) / "clawdbot.json").read_text() == config)
    await door.until_status(1, "running")
    assert len(await door.suite.events(InstanceRunning, count=2)) == 2


async def test_a_new_key_of_the_account_reaches_those_without_their_own(door: Door, state: Path) -> None:
    await door.create("Own", anthropic_api_key="sk-own")
    await door.create("Shared")
    for instance_id in (1, 2):
        await door.until_status(instance_id, "running")
    own, shared = pid_of(state, 1, "bot-own"), pid_of(state, 2, "bot-shared")
    await door.admin.put("/api/v1/settings", json={"anthropic_api_key": "sk-shared"})

    def given() -> str | None:
        try:
            return psutil.Process(pid_of(state, 2, "bot-shared")).environ().get("ANTHROPIC_API_KEY")
        except psutil.Error:
            return None

    await eventually(lambda: given() == "sk-shared", given, within_s=15)
    assert pid_of(state, 2, "bot-shared") != shared
    assert pid_of(state, 1, "bot-own") == own
    assert psutil.Process(own).environ()["ANTHROPIC_API_KEY"] == "sk-own"


async def test_an_instance_survives_the_orchestrator_and_is_not_doubled(door: Door, state: Path) -> None:
    await door.create()
    await door.until_status(1, "running")
    pid = pid_of(state)
    await door.suite.stop(door.service)
    assert psutil.Process(pid).is_running()
    again = Door(door.suite, await door.suite.start("instance-orchestrator", **door.settings), door.settings)
    await again.until_status(1, "running")
    await again.admin.post(f"{INSTANCES}/1/start")
    assert (pid_of(state), processes_in(state)) == (pid, [pid])


async def test_a_process_that_dies_is_started_again(door: Door, state: Path) -> None:
    await door.create()
    await door.until_status(1, "running")
    pid = pid_of(state)
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: pid_of(state) != pid, within_s=15)
    await door.until_status(1, "running")
    assert len(await door.suite.events(InstanceRunning, count=2)) == 2


async def test_a_process_that_nobody_looks_after_ends_by_itself(open_door: Open, state: Path) -> None:
    door = await open_door(INSTANCE_ORCHESTRATOR_ALONE_GRACE="2s")
    await door.create()
    await door.until_status(1, "running")
    await door.suite.stop(door.service)
    await eventually(lambda: not processes_in(state), lambda: processes_in(state), within_s=15)


async def test_delete_leaves_no_trace(door: Door, state: Path) -> None:
    door.suite.announce("pairing")
    await door.create()
    await door.until_status(1, "running")
    await door.admin.delete(f"{INSTANCES}/1")
    await eventually(lambda: not folder(state).exists(), within_s=15)
    assert processes_in(state) == []

    async def is_free() -> bool:
        return not await door.sql("select from port_pair")

    await eventually(is_free)
    assert not await door.sql("select from host_key")
    assert (await door.create())["nodeport_chrome"] == 30100


async def test_what_left_its_group_ends_with_the_instance(door: Door) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    await door.create()
    await give_key(door, key)
    await door.until_status(1, "running")
    async with await sign_in(door, key) as connection:
        done = await connection.run("setsid sleep 600 >/dev/null 2>&1 </dev/null & echo $!", check=True)
    stray = psutil.Process(int(str(done.stdout)))
    assert stray.is_running()
    await door.admin.post(f"{INSTANCES}/1/stop")
    await eventually(lambda: not stray.is_running(), within_s=15)


async def test_an_instance_seeks_a_place_on_the_dashboard_and_leaves_it_when_deleted(
    open_door: Open, state: Path
) -> None:
    suite_door = await open_door(is_idle=True)
    suite = suite_door.suite
    await suite.stop(suite_door.service)
    suite.announce("pairing")
    await suite.start("pairing")
    await suite_door.sql("delete from lease")
    service = await suite.start("instance-orchestrator", **suite_door.settings)
    door = Door(suite, service, suite_door.settings)
    await door.create()
    (opened,) = await suite.events(PairingOpened)
    assert (opened.account_id, opened.user_id, opened.name) == ("acct_1", "user_admin", "Bot Alpha")
    await eventually(lambda: bool((folder(state) / "pairing_token").read_text()))
    await door.until_status(1, "running")
    assert len(await suite.events(PairingOpened)) == 1
    await door.admin.delete(f"{INSTANCES}/1")
    (ended,) = await suite.events(PairingDeleted)
    assert ended.pairing_id == opened.pairing_id


async def test_ports_that_somebody_takes_first_are_given_up_for_others(open_door: Open) -> None:
    idle = await open_door(is_idle=True)
    await idle.create()
    address = idle.settings["SHOAL_NODE_ADDRESS"]
    async with await asyncio.start_server(lambda *_: None, address, 30100):
        await idle.sql("delete from lease")
        shown = await idle.until_status(1, "running", within_s=20)
        assert (shown["nodeport_chrome"], shown["nodeport_terminal"]) == (30102, 30103)


async def test_a_folder_without_an_instance_is_swept_away(open_door: Open, state: Path) -> None:
    stray = state / "instances" / "99-bot-stray"
    stray.mkdir(parents=True)
    os.utime(stray, (time.time() - 3600,) * 2)
    fresh = state / "instances" / "98-bot-fresh"
    fresh.mkdir()
    await open_door()
    await eventually(lambda: not stray.exists())
    assert fresh.exists()


async def test_a_clone_begins_with_a_copy_of_the_home_and_goes_its_own_way(door: Door, state: Path) -> None:
    await door.create()
    await door.until_status(1, "running")
    home = folder(state) / "home"
    (home / "work").mkdir()
    (home / "work" / "notes").write_text("before")
    (home / "work" / "link").symlink_to("notes")
    os.mkfifo(home / "pipe")
    (home / ".ssh" / "authorized_keys").write_text("ssh-ed25519 AAAA somebody\n")
    assert (await door.admin.post(f"{INSTANCES}/1/clone")).status_code == 201
    shown = await door.until_status(2, "running")
    copied = state / "instances" / f"2-{shown['name']}" / "home"
    assert (copied / "work" / "link").read_text() == "before"
    assert (copied / "work" / "link").is_symlink()
    assert not (copied / "pipe").exists()
    assert "somebody" not in (copied / ".ssh" / "authorized_keys").read_text()
    (home / "work" / "notes").write_text("after")
    (copied / "work" / "own").write_text("own")
    assert (await door.admin.post(f"{INSTANCES}/2/restart")).status_code == 200
    await door.until_status(2, "running")
    assert (copied / "work" / "notes").read_text() == "before"
    assert (copied / "work" / "own").exists()
