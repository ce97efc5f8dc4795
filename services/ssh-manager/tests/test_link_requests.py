"""Tests and reconnections that people ask for."""

import asyncio
from pathlib import Path

from ssh_door import Door, Place, moves

from shoal.testing.sshd import Sshd
from shoal.testing.suite import eventually


async def test_a_test_leaves_the_standing_connection_alone(place: Place) -> None:
    before = await place.status()
    answer = await place.door.admin.post(f"{place.url}/ssh-test")
    body = answer.json()
    assert (answer.status_code, body["success"], body["command_test"]) == (200, True, True), body
    assert body["latency_ms"] > 0
    assert "error" not in body
    after = await place.status()
    assert after["health"]["connected_at"] == before["health"]["connected_at"]
    assert after["recent_events"] == before["recent_events"] or moves(after) == [
        ("disconnected", "connecting"),
        ("connecting", "connected"),
    ]
    await eventually(lambda: place.sshd.sessions() == 1, place.sshd.sessions)
    (entry,) = await place.door.entries(username="user_admin")
    assert (entry["event_type"], entry["source_ip"]) == ("connection", "127.0.0.1")
    assert entry["details"] == "SSH connection test: succeeded"


async def test_a_test_that_fails_is_an_answer_not_an_error(place: Place) -> None:
    await place.sshd.kill()
    answer = await place.door.admin.post(f"{place.url}/ssh-test")
    assert answer.status_code == 200
    assert answer.json() == {
        "success": False,
        "latency_ms": answer.json()["latency_ms"],
        "tunnel_status": [],
        "command_test": False,
        "error": "SSH connection failed: connection refused",
    }
    (entry,) = await place.door.entries(username="user_admin")
    assert entry["event_type"] == "connection_failed"


async def test_an_instance_that_talks_without_end_fails_the_test_and_is_not_listened_to(
    door: Door, tmp_path: Path
) -> None:
    talker = Sshd(tmp_path / "talker", forced_command="yes")
    await talker.start()
    try:
        place = Place(door, talker)
        await place.appear()
        await place.until_state("connected")
        body = (await door.admin.post(f"{place.url}/ssh-test")).json()
        assert (body["success"], body["command_test"]) == (False, False)
        assert body["error"] == "Test command failed: the test command did not answer"
    finally:
        await talker.kill()


async def test_reconnecting_replaces_the_connection_and_is_audited(place: Place) -> None:
    before = (await place.status())["health"]["connected_at"]
    answer = await place.door.admin.post(f"{place.url}/ssh-reconnect")
    assert answer.json() == {"success": True, "message": "SSH connection re-established successfully"}
    assert (await place.status())["health"]["connected_at"] > before
    await eventually(lambda: place.sshd.sessions() == 1, place.sshd.sessions)
    (entry,) = await place.door.entries(username="user_admin")
    assert (entry["event_type"], entry["details"]) == ("reconnection", "SSH connection re-established successfully")
    assert entry["duration_ms"] >= 0


async def test_many_reconnections_at_once_end_in_one_connection(place: Place) -> None:
    calls = [place.door.admin.post(f"{place.url}/ssh-reconnect") for _ in range(5)]
    answers = await asyncio.gather(*calls)
    assert [answer.json()["success"] for answer in answers] == [True] * 5
    await place.until_state("connected")
    await eventually(lambda: place.sshd.sessions() == 1, place.sshd.sessions)
