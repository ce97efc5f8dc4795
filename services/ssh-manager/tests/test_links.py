"""Connections: made without being asked, lost, made again."""

import asyncio
import time
from pathlib import Path

import asyncpg
import asyncssh
import pytest
from ssh_door import Door, Open, Place, moves, refused

from shoal.testing.sshd import Sshd
from shoal.testing.suite import eventually, free_port


async def test_a_running_instance_is_connected_without_a_call(place: Place) -> None:
    health = (await place.status())["health"]
    assert (health["healthy"], health["uptime_seconds"]) == (True, 0)
    await eventually(lambda: place.events("connection"))

    async def is_stored() -> bool:
        return moves(await place.status()) == [("disconnected", "connecting"), ("connecting", "connected")]

    await eventually(is_stored, place.status)
    entry = await place.door.until_entry("connection")
    assert (entry["instance_name"], entry["username"], entry["source_ip"]) == ("bot-alpha", "system", "")


async def test_nothing_of_the_users_home_is_read(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "config").write_text("Host *\n  Port 1\n  User nobody\n  HostKeyAlgorithms ssh-rsa\n")
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    (home / ".ssh" / "known_hosts").write_text(f"* {stranger.export_public_key().decode()}")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "no-agent"))
    answer = await place.door.admin.post(f"{place.url}/ssh-test")
    assert answer.json()["success"] is True, answer.text
    assert not list(home.glob(".ssh/known_hosts?*"))


async def test_a_lost_connection_is_reconnecting_within_a_second_and_back_within_five(place: Place) -> None:
    await place.until_checked()
    await place.sshd.kill()
    await place.until_state("reconnecting", within_s=1)
    assert (await place.status())["health"]["healthy"] is False
    await asyncio.sleep(2)  # an outage, not a hiccup
    await place.sshd.start()
    await place.until_state("connected", within_s=5)
    kinds = [event["type"] for event in reversed(await place.events())]
    assert kinds[:3] == ["connection", "disconnection", "reconnecting"]
    await eventually(lambda: _is_last(place, "connection"))
    assert await place.door.until_entry("disconnection")
    assert await place.door.until_entry("reconnection")
    failed = await place.door.until_entry("connection_failed")
    assert "connection refused" in failed["details"]


async def _is_last(place: Place, kind: str) -> bool:
    return (await place.events())[0]["type"] == kind


async def test_an_outage_of_any_length_does_not_end_in_failed(open_door: Open, sshd: Sshd) -> None:
    door = await open_door(SSH_MANAGER_MAX_PAUSE="50ms")
    place = Place(door, sshd)
    await place.appear()
    await place.until_state("connected")
    await sshd.kill()

    async def has_tried_often() -> bool:
        return any("Attempt 32:" in entry["details"] for entry in await door.entries(event_type="connection_failed"))

    await eventually(has_tried_often, within_s=20)
    told = [entry["details"].partition(":")[0] for entry in await door.entries(event_type="connection_failed")]
    assert told[-6:] == [f"Attempt {number}" for number in (32, 16, 8, 4, 2, 1)]  # not one for each
    assert (await place.status())["connection_state"] == "reconnecting"
    await sshd.start()
    await place.until_state("connected", within_s=5)


async def test_it_gives_up_only_after_the_configured_time_and_a_call_tries_again(open_door: Open, sshd: Sshd) -> None:
    door = await open_door(SSH_MANAGER_GIVE_UP_AFTER="1s", SSH_MANAGER_MAX_PAUSE="100ms")
    place = Place(door, sshd)
    await place.appear()
    await place.until_state("connected")
    await sshd.kill()
    started = time.monotonic()
    status = await place.until_state("failed")
    assert time.monotonic() - started >= 0.9
    assert status["health"] is None
    answer = await door.admin.post(f"{place.url}/ssh-reconnect")
    assert (answer.status_code, answer.json()["success"]) == (200, False)
    assert "connection refused" in answer.json()["message"]
    await sshd.start()
    answer = await door.admin.post(f"{place.url}/ssh-reconnect")
    assert answer.json() == {"success": True, "message": "SSH connection re-established successfully"}
    await place.until_state("connected")


async def test_stopping_an_instance_ends_its_connection_and_starting_it_makes_another(place: Place) -> None:
    await place.stop()
    status = await place.until_state("disconnected")
    assert status["health"] is None
    await eventually(lambda: place.sshd.sessions() == 0, place.sshd.sessions)
    assert (await place.until_event("disconnection"))["details"] == "The instance stopped"
    await place.run()
    await place.until_state("connected")


async def test_another_way_to_an_instance_is_taken_at_once(place: Place, tmp_path: Path) -> None:
    moved = Sshd(tmp_path / "moved")
    moved.admit((await place.key()).public_key)
    await moved.start()
    place.sshd = moved
    try:
        await place.run()
        await eventually(lambda: moved.sessions() == 1, moved.sessions)
        await place.until_state("connected")
    finally:
        await moved.kill()


async def test_a_deleted_instance_leaves_no_trace_but_the_audit_log(place: Place) -> None:
    await place.delete()

    async def is_gone() -> bool:
        answer = await place.door.admin.get(f"{place.url}/ssh-status")
        return answer.status_code == 404 and place.sshd.sessions() == 0

    await eventually(is_gone)

    async def count() -> list[int]:
        tables = ("ssh_key", "rotation", "link", "link_event", "link_transition", "allowed_addresses")
        return [(await place.door.sql(f"select count(*) from {table}"))[0][0] for table in tables]  # noqa: S608

    async def is_clean() -> bool:
        return await count() == [0] * 6

    await eventually(is_clean, count)
    assert await place.door.entries(instance_name="bot-alpha")
    await place.run()  # late news do not bring it back
    await place.delete()
    assert (await place.door.admin.get(f"{place.url}/ssh-status")).status_code == 404


async def test_after_a_restart_every_instance_is_connected_without_a_call(place: Place, sshd: Sshd) -> None:
    others = [Place(place.door, sshd, number=number, name=f"bot-{number}") for number in (2, 3)]
    for other in others:
        await other.appear()
    for other in others:
        await other.until_state("connected")
    started = time.monotonic()
    await place.door.restart()
    for one in (place, *others):
        await one.until_state("connected", within_s=15)
    assert time.monotonic() - started < 15
    status = await place.status()
    assert ("connected", "disconnected") in moves(status)
    assert "The SSH manager was restarted" in [event["details"] for event in await place.events("disconnection")]


async def test_only_one_process_holds_connections(place: Place) -> None:
    port = {"SSH_MANAGER_PORT": str(free_port())}
    other = Door(place.door.suite, place.door.settings | port)
    await other.start()
    answer = await other.admin.post(f"{place.url}/ssh-reconnect")
    refused(answer, 503, "ssh_manager_unavailable")
    assert place.sshd.sessions() == 1
    await place.door.suite.stop(place.door.service)
    place.door = other
    await place.until_state("connected")
    await eventually(lambda: place.sshd.sessions() == 1, place.sshd.sessions)


async def test_a_database_that_is_away_cuts_no_connection(place: Place) -> None:
    before = (await place.status())["health"]["connected_at"]
    blocker = await asyncpg.connect(place.door.suite.database_url)
    try:
        async with blocker.transaction():
            await blocker.execute("lock table ssh_manager.lease in access exclusive mode")
            await asyncio.sleep(5)  # twice as long as the lease lasts
    finally:
        await blocker.close()
    epochs = "select epoch from lease where key = 'links' and expires_at > now()"
    await eventually(lambda: place.door.sql(epochs))
    status = await place.status()
    assert (status["connection_state"], status["health"]["connected_at"]) == ("connected", before)
    assert place.sshd.sessions() == 1


async def test_another_host_key_gets_no_authentication_and_fails_the_connection(place: Place) -> None:
    sshd = place.sshd
    await sshd.kill()
    pinned = sshd.host_public_key
    sshd.change_host_key(asyncssh.generate_private_key("ssh-ed25519"))
    log = (sshd.folder / "sshd.log").read_text() if (sshd.folder / "sshd.log").exists() else ""
    await sshd.start()
    status = await place.until_state("failed")
    assert status["health"] is None
    assert (await place.until_event("fingerprint_mismatch"))["details"].startswith("SSH host key verification failed")
    await place.door.until_entry("fingerprint_mismatch")
    said = (sshd.folder / "sshd.log").read_text().removeprefix(log)
    assert "userauth" not in said
    assert "publickey" not in said
    answer = await place.door.admin.post(f"{place.url}/ssh-test")
    assert "host key verification failed" in answer.json()["error"]
    (entry,) = await place.door.entries(username="user_admin")
    assert entry["event_type"] == "fingerprint_mismatch"
    await place.run(host_public_key=sshd.host_public_key)  # instance-orchestrator says that this is right
    await place.until_state("connected")
    assert pinned != sshd.host_public_key
