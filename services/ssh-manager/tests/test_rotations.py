"""Rotations: keys are replaced without ever locking anybody out."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from rotating import apply_rotated, private_keys, rotate, rotate_and_apply
from ssh_door import Open, Place, refused

from shoal.testing.sshd import Sshd
from shoal.testing.suite import eventually
from shoal_events import SshKeyRotated

FOREIGN = (
    "# our own\n"
    'from="10.0.0.0/8" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAn4mx7DN5bTjE7fSdkQ0Y7q4DyZjYVOqQ8pOQ5yVd3p  a\tkey \r\n'
    "\n"
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7 no newline at the end"
)


def authorized(place: Place) -> bytes:
    return place.sshd.authorized_keys.read_bytes()


def blob(public_key: str) -> bytes:
    return public_key.split()[1].encode()


async def test_a_rotation_lets_the_new_key_in_and_refuses_the_old_one(place: Place) -> None:
    (old,) = await private_keys(place)
    place.sshd.authorized_keys.write_text(FOREIGN + "\n" + authorized(place).decode())
    place.sshd.authorized_keys.chmod(0o640)
    before = (await place.status())["health"]["connected_at"]
    body = await rotate_and_apply(place)
    assert (body["success"], body["message"]) == (True, "SSH key rotation completed successfully")
    (new,) = await private_keys(place)
    assert body["fingerprint"] == new.get_fingerprint() != old.get_fingerprint()
    assert body["rotated_at"].endswith("Z")
    assert await place.can_sign_in(new)
    assert not await place.can_sign_in(old)
    content = authorized(place)
    assert content.startswith((FOREIGN + "\n").encode())
    assert content.count(b"ssh-ed25519 ") == 2
    assert oct(place.sshd.authorized_keys.stat().st_mode)[-3:] == "640"
    assert [file.name for file in place.sshd.authorized_keys.parent.iterdir()] == ["authorized_keys"]
    assert (await place.status())["health"]["connected_at"] > before
    assert (await place.until_event("key_rotation"))["details"] == f"SSH key rotated: {body['fingerprint']}"
    (entry,) = await place.door.entries(event_type="key_rotation")
    assert (entry["username"], entry["details"]) == ("user_admin", f"SSH key rotated: {body['fingerprint']}")
    fingerprint = (await place.door.admin.get(f"{place.url}/ssh-fingerprint")).json()
    assert (fingerprint["fingerprint"], fingerprint["verified"]) == (body["fingerprint"], True)


async def test_rotations_follow_each_other_and_every_key_is_another(place: Place) -> None:
    seen = {(await place.key()).fingerprint}
    for count in (1, 2, 3):
        seen.add((await rotate_and_apply(place, count))["fingerprint"])
    assert len(seen) == 4
    assert authorized(place).count(b"ssh-ed25519 ") == 1
    assert [event.version for event in await place.door.suite.events(SshKeyRotated)] == [2, 3, 4]


async def test_the_old_key_stays_until_the_instance_keeps_the_new_one(place: Place) -> None:
    (old,) = await private_keys(place)
    asking = asyncio.create_task(rotate(place))
    told = (await place.door.suite.events(SshKeyRotated, within_s=10))[-1]
    assert blob(told.public_key) in authorized(place)
    assert await place.can_sign_in(old)
    assert len(await private_keys(place)) == 2
    # an instance that restarts now comes back with the old key only: the connection still comes about
    await place.sshd.kill()
    kept = [line for line in authorized(place).splitlines(keepends=True) if blob(told.public_key) not in line]
    place.sshd.authorized_keys.write_bytes(b"".join(kept))
    await place.sshd.start()
    await place.until_state("connected")
    place.sshd.admit(told.public_key)
    await place.apply(told.fingerprint, told.version)
    assert (await asking)["success"] is True
    await eventually(lambda: _is_alone(place, told.public_key), lambda: authorized(place))
    assert not await place.can_sign_in(old)


async def _is_alone(place: Place, public_key: str) -> bool:
    return authorized(place).count(b"ssh-ed25519") == 1 and blob(public_key) in authorized(place)


async def test_a_rotation_that_cannot_write_leaves_everything_as_it_was(place: Place) -> None:
    before = authorized(place)
    draft = place.sshd.authorized_keys.with_name(".authorized_keys.shoal")
    draft.mkdir()
    body = await rotate(place)
    assert body["success"] is False
    assert body["message"] == "Key rotation failed: failed to append new key to authorized_keys"
    draft.rmdir()
    await _is_over(place)
    assert authorized(place) == before
    assert len(await private_keys(place)) == 1
    assert await place.can_sign_in((await private_keys(place))[0])
    (entry,) = await place.door.entries(event_type="key_rotation")
    assert entry["details"].startswith("SSH key rotation failed:")
    assert (await rotate_and_apply(place))["success"] is True


async def test_a_new_key_that_does_not_sign_in_is_taken_back(place: Place, tmp_path: Path) -> None:
    before = authorized(place)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(before)
    await place.sshd.kill()
    await place.until_state("reconnecting")
    await place.sshd.start(authorized_keys=elsewhere)  # what is written has no effect
    await place.until_state("connected")
    body = await rotate(place)
    assert body["success"] is False
    assert body["message"].startswith("Key rotation failed: the new key does not sign in")
    await _is_over(place)
    assert authorized(place) == before
    assert len(await private_keys(place)) == 1
    assert not await place.door.sql("select from outbox where type = 'ssh.key_rotated'")


async def _is_over(place: Place) -> None:
    async def holds() -> bool:
        return not await place.door.sql("select from rotation where step not in ('done', 'failed')")

    await eventually(holds, within_s=10)


async def test_two_rotations_at_once_make_one_key(place: Place) -> None:
    first, second, _ = await asyncio.gather(rotate(place), rotate(place), apply_rotated(place))
    assert sorted([first["success"], second["success"]]) == [False, True]
    (message,) = {first["message"], second["message"]} - {"SSH key rotation completed successfully"}
    assert "already under way" in message
    assert len(await place.door.suite.events(SshKeyRotated)) == 1
    assert authorized(place).count(b"ssh-ed25519") == 1


async def test_rotations_of_several_instances_do_not_wait_for_each_other(place: Place, tmp_path: Path) -> None:
    other = Place(place.door, Sshd(tmp_path / "other"), number=2, name="bot-beta")
    await other.sshd.start()
    try:
        await other.appear()
        await other.until_state("connected")
        asking = [asyncio.create_task(rotate(one)) for one in (place, other)]
        for told in await place.door.suite.events(SshKeyRotated, count=2, within_s=10):
            await (place if told.instance_id == "1" else other).apply(told.fingerprint, told.version)
        answers = await asyncio.gather(*asking)
        assert [answer["success"] for answer in answers] == [True, True]
        assert answers[0]["fingerprint"] != answers[1]["fingerprint"]
        assert [authorized(one).count(b"ssh-ed25519") for one in (place, other)] == [1, 1]
    finally:
        await other.sshd.kill()


async def test_a_rotation_waits_for_a_connection_that_is_being_made(place: Place) -> None:
    await place.sshd.kill()
    await place.until_state("reconnecting")
    asking = asyncio.create_task(rotate(place))
    await asyncio.sleep(0.3)  # as long as a server takes to be back
    assert not asking.done()
    await place.sshd.start()
    await apply_rotated(place)
    assert (await asking)["success"] is True


async def test_a_rotation_during_which_the_instance_goes_away_goes_on_once_it_is_back(place: Place) -> None:
    place.sshd.freeze()
    asking = asyncio.create_task(rotate(place))
    await place.door.until_entry("key_rotation")
    await asyncio.sleep(0.3)  # until it waits for the instance's file
    await place.sshd.kill()
    await place.sshd.start()
    await apply_rotated(place)
    assert (await asking)["success"] is True
    assert authorized(place).count(b"ssh-ed25519") == 1


async def test_a_rotation_waits_for_an_instance_that_restarts(place: Place) -> None:
    await place.stop(reason="restarting")
    await place.until_state("disconnected")
    asking = asyncio.create_task(rotate(place))
    await asyncio.sleep(0.3)  # as long as an instance takes to be back
    await place.run()
    await apply_rotated(place)
    assert (await asking)["success"] is True


async def test_a_rotation_needs_a_connection(place: Place) -> None:
    await place.sshd.kill()
    await place.until_state("reconnecting")
    refused(await place.door.admin.post(f"{place.url}/rotate-ssh-key"), 503, "not_connected")
    await place.stop()
    await place.until_state("disconnected")
    async with asyncio.timeout(1):
        refused(await place.door.admin.post(f"{place.url}/rotate-ssh-key"), 503, "not_connected")


async def test_only_admins_rotate(place: Place) -> None:
    refused(await place.door.alice.post(f"{place.url}/rotate-ssh-key"), 403)
    refused(await place.door.stranger.post(f"{place.url}/rotate-ssh-key"), 404)


async def test_a_rotation_goes_on_after_a_restart_and_its_end_is_told(place: Place) -> None:
    (old,) = await private_keys(place)
    blocker = await asyncpg.connect(place.door.suite.database_url)
    try:
        async with blocker.transaction():
            await blocker.execute("lock table ssh_manager.rotation in share mode")  # nobody takes a step
            asking = asyncio.create_task(place.door.admin.post(f"{place.url}/rotate-ssh-key"))
            await place.door.until_entry("key_rotation")
            asking.cancel()
    finally:
        await blocker.close()
    await place.door.sql("update rotation set updated_at = now()")
    await place.door.restart()
    if not await place.door.sql("select from rotation"):
        pytest.fail("the rotation was not begun")
    told = await apply_rotated(place)
    await eventually(lambda: _is_alone(place, told.public_key), lambda: authorized(place), within_s=10)
    await eventually(lambda: _has_told(place))
    assert not await place.can_sign_in(old)


async def _has_told(place: Place) -> bool:
    return any("SSH key rotated" in entry["details"] for entry in await place.door.entries(event_type="key_rotation"))


async def test_old_keys_are_replaced_by_themselves(open_door: Open, sshd: Sshd) -> None:
    door = await open_door(SSH_MANAGER_ROTATION_DAYS="30", SSH_MANAGER_ROTATION_INTERVAL="200ms")
    old, young = (Place(door, sshd, number=number, name=f"bot-{number}") for number in (1, 2))
    for place in (old, young):
        await place.appear()
        await place.until_state("connected")
    await door.sql("update ssh_key set created_at = now() - interval '31 days' where instance_id = 1")
    await door.sql("update ssh_key set created_at = now() - interval '29 days' where instance_id = 2")
    told = await apply_rotated(old)
    assert told.instance_id == "1"
    await _is_over(old)
    assert len(await door.suite.events(SshKeyRotated)) == 1
    (entry,) = await door.entries(event_type="key_rotation")
    assert (entry["username"], entry["instance_id"]) == ("system", 1)
