"""Connections that are asked for a sign of life: those that answer no more, and those that cannot answer now."""

import asyncio
from pathlib import Path

from ssh_door import Open, Place

from shoal.testing.sshd import Sshd
from shoal.testing.suite import eventually


async def test_an_instance_is_checked_as_soon_as_it_is_connected(place: Place) -> None:
    await place.until_checked()
    health = (await place.status())["health"]
    assert (health["healthy"], health["successful_checks"], health["failed_checks"]) == (True, 1, 0)


async def test_an_instance_that_ends_over_a_check_is_checked_at_once_only_once(open_door: Open, tmp_path: Path) -> None:
    deadly = Sshd(tmp_path / "deadly", forced_command="kill -9 $PPID")
    await deadly.start()
    place = Place(await open_door(), deadly)
    try:
        await place.appear()
        await place.until_event("disconnection")
        health = (await place.until_state("connected"))["health"]
        assert (health["failed_checks"], health["healthy"]) == (1, True)
        await asyncio.sleep(1)  # in which nothing happens
        assert (await place.status())["health"]["failed_checks"] == 1
    finally:
        await deadly.kill()


async def test_a_failed_health_check_is_an_event_and_makes_it_connect_anew(open_door: Open, sshd: Sshd) -> None:
    door = await open_door(
        SSH_MANAGER_HEALTH_INTERVAL="300ms", SSH_MANAGER_HEALTH_TIMEOUT="500ms", SSH_MANAGER_CONNECT_TIMEOUT="1s"
    )
    place = Place(door, sshd)
    await place.appear()
    await place.until_state("connected")

    async def has_checked() -> bool:
        return (await place.status())["health"]["successful_checks"] > 1

    await eventually(has_checked)
    assert (await place.status())["health"]["last_health_check"]
    sshd.freeze()
    try:
        event = await place.until_event("health_check")
        assert event["details"].startswith("Health check failed:")
        await door.until_entry("health_check")
        await place.until_state("reconnecting")
    finally:
        sshd.thaw()
    status = await place.until_state("connected")
    assert status["health"]["failed_checks"] >= 1
    metrics = (await door.admin.get("/api/v1/ssh-metrics")).json()
    (rate,) = metrics["health_rates"]
    assert 0 < rate["success_rate"] < 1
    (again,) = metrics["reconnection_counts"]
    assert (again["instance_name"], again["display_name"]) == ("bot-alpha", "Bot-Alpha")
    assert again["count"] >= 1


async def test_half_open_connections_do_not_hold_up_the_checks_of_others(
    open_door: Open, sshd: Sshd, tmp_path: Path
) -> None:
    door = await open_door(SSH_MANAGER_HEALTH_INTERVAL="300ms", SSH_MANAGER_HEALTH_TIMEOUT="3s")
    mute = Sshd(tmp_path / "mute")
    await mute.start()
    first, second = Place(door, sshd), Place(door, mute, number=2, name="bot-mute")
    try:
        for place in (first, second):
            await place.appear()
        for place in (first, second):
            await place.until_state("connected")
        mute.freeze()
        before = (await first.status())["health"]["successful_checks"]

        async def has_gone_on() -> bool:
            return (await first.status())["health"]["successful_checks"] > before + 2

        await eventually(has_gone_on, within_s=4)
        await second.until_state("reconnecting", within_s=6)
    finally:
        await mute.kill()


async def test_a_full_instance_is_busy_not_lost(open_door: Open, tmp_path: Path) -> None:
    door = await open_door(SSH_MANAGER_HEALTH_INTERVAL="300ms")
    full = Sshd(tmp_path / "full", max_sessions=0)
    await full.start()
    try:
        place = Place(door, full)
        await place.appear()
        before = (await place.until_state("connected"))["health"]["connected_at"]
        event = await place.until_event("health_check")
        assert event["details"].startswith("Health check failed:")
        status = await place.status()
        assert (status["connection_state"], status["health"]["healthy"]) == ("connected", False)
        assert status["health"]["connected_at"] == before
    finally:
        await full.kill()
