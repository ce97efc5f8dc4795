"""Keys: one for each instance, sealed, replaced without ever locking anybody out."""

import asyncio
import base64
import os
from pathlib import Path
from typing import Any

import asyncpg
import asyncssh
import pytest
from ssh_door import Door, Open, Place, refused

from shoal.crypto import Envelope
from shoal.testing.sshd import Sshd
from shoal.testing.suite import eventually
from shoal_events import SshKeyCreated, SshKeyRotated

FOREIGN = (
    "# our own\n"
    'from="10.0.0.0/8" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAn4mx7DN5bTjE7fSdkQ0Y7q4DyZjYVOqQ8pOQ5yVd3p  a\tkey \r\n'
    "\n"
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7 no newline at the end"
)


async def rotate(place: Place) -> dict[str, Any]:
    answer = await place.door.admin.post(f"{place.url}/rotate-ssh-key")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def apply_rotated(place: Place, count: int = 1) -> SshKeyRotated:
    """Be instance-orchestrator: give the instance its new key, and say so."""
    told = (await place.door.suite.events(SshKeyRotated, count=count, within_s=10))[-1]
    await place.apply(told.fingerprint, told.version)
    return told


async def rotate_and_apply(place: Place, count: int = 1) -> dict[str, Any]:
    body, _ = await asyncio.gather(rotate(place), apply_rotated(place, count))
    return body


async def private_keys(place: Place) -> list[asyncssh.SSHKey]:
    """Open every stored key of an instance, the newest first, as whoever has the key-encryption key can."""
    key_id, _, encoded = (Path(place.door.settings["SHOAL_STATE"]) / "ssh-manager.key").read_text().partition(":")
    envelope = Envelope({key_id: base64.b64decode(encoded)}, current=key_id)
    rows = await place.door.sql(
        "select version, sealed from ssh_key where instance_id = $1 order by version desc", place.id
    )
    places = [f"ssh_manager/ssh_key/{place.id}/{row['version']}/sealed" for row in rows]
    return [
        asyncssh.import_private_key(envelope.open(row["sealed"], place=one))
        for row, one in zip(rows, places, strict=True)
    ]


def authorized(place: Place) -> bytes:
    return place.sshd.authorized_keys.read_bytes()


def blob(public_key: str) -> bytes:
    return public_key.split()[1].encode()


async def test_an_instance_gets_one_key_of_its_own_that_openssh_can_read(
    door: Door, sshd: Sshd, tmp_path: Path
) -> None:
    places = [Place(door, sshd, number=number, name=f"bot-{number}") for number in (1, 2)]
    for place in places:
        await place.appear()
        await place.appear(is_admitting=False)  # told twice
    keys = [await place.key() for place in places]
    assert keys[0].public_key != keys[1].public_key
    assert len(await door.suite.events(SshKeyCreated)) == 2
    file = tmp_path / "key.pub"
    file.write_text(keys[0].public_key)
    asked = await asyncio.create_subprocess_exec("ssh-keygen", "-lf", file, stdout=asyncio.subprocess.PIPE)
    said = (await asked.communicate())[0].decode()
    assert said.split()[:2] == ["256", keys[0].fingerprint]
    assert said.rstrip().endswith("(ED25519)")


async def test_an_instance_that_was_made_while_we_were_away_gets_its_key_later(open_door: Open, sshd: Sshd) -> None:
    door = await open_door()
    await door.suite.stop(door.service)
    place = Place(door, sshd)
    await place.run()  # nobody told us of its creation
    await door.start()
    made = await place.key()
    await place.until_state("reconnecting")  # it does not know the key
    sshd.admit(made.public_key)
    await place.apply(made.fingerprint, made.version)
    await place.until_state("connected", within_s=3)


async def test_private_keys_are_sealed_and_bound_to_their_row(place: Place) -> None:
    other = Place(place.door, place.sshd, number=2, name="bot-beta")
    await other.appear()
    await other.until_state("connected")
    rows = await place.door.sql("select * from ssh_key")
    assert all(b"PRIVATE" not in bytes(row["sealed"]) for row in rows)
    await place.door.sql(
        """
        update ssh_key as one
           set sealed = two.sealed
          from ssh_key as two
         where one.instance_id <> two.instance_id
        """
    )
    body = (await place.door.admin.post(f"{place.url}/ssh-test")).json()
    assert body["error"] == "SSH key integrity check failed: fingerprint mismatch"


async def test_private_keys_never_leave_the_vault(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    said = [str(await rotate_and_apply(place))]
    said += [(await place.door.admin.post(f"{place.url}/{path}")).text for path in ("ssh-test", "ssh-reconnect")]
    shown = ("ssh-status", "ssh-events", "ssh-fingerprint", "tunnels")
    said += [(await place.door.admin.get(f"{place.url}/{path}")).text for path in shown]
    said += [str(await place.door.entries()), (await place.door.nobody.get("/metrics")).text]
    stream = await (await place.door.suite.bus()).jetstream().stream_info("EVENTS")
    assert stream.state.messages
    for number in range(1, stream.state.messages + 1):
        told = await (await place.door.suite.bus()).jetstream().get_msg("EVENTS", number)
        said.append(f"{told.subject} {told.headers} {told.data!r}")
    tables = await place.door.sql("select tablename from pg_tables where schemaname = 'ssh_manager'")
    for row in tables:
        name = row["tablename"]
        said += [str(found) for found in await place.door.sql(f"select t::text, t from {name} as t")]  # noqa: S608
    said.append("".join(capfd.readouterr()))
    (key,) = await private_keys(place)
    body = b"".join(key.export_private_key("openssh").splitlines()[1:-1]).decode()
    secrets = ["PRIVATE KEY", body[100:160], key.export_private_key("openssh").hex()[200:300]]
    assert [secret for secret in secrets for text in said if secret in text] == []
    assert any(key.get_fingerprint() in text for text in said)


async def test_encryption_keys_can_be_replaced(open_door: Open, sshd: Sshd) -> None:
    old, new = (f"{name}:{base64.b64encode(os.urandom(32)).decode()}" for name in ("old", "new"))
    door = await open_door(SSH_MANAGER_ENCRYPTION_KEY=old)
    place = Place(door, sshd)
    await place.appear()
    await place.until_state("connected")
    door.settings["SSH_MANAGER_ENCRYPTION_KEY"] = f"{new},{old}"
    await door.restart()

    async def is_new() -> bool:
        rows = await door.sql("select sealed from ssh_key union all select sealed from audit_key")
        return len(rows) == 2 and all(bytes(row["sealed"])[2:5] == b"new" for row in rows)

    await eventually(is_new)
    door.settings["SSH_MANAGER_ENCRYPTION_KEY"] = new
    await door.restart()
    await place.until_state("connected")
    assert (await door.admin.post(f"{place.url}/ssh-test")).json()["success"] is True


async def test_the_wrong_encryption_key_is_told_and_nothing_is_overwritten(open_door: Open, tmp_path: Path) -> None:
    door = await open_door()
    await door.suite.stop(door.service)
    (tmp_path / "state" / "ssh-manager.key").unlink()
    door.service = await door.suite.start("ssh-manager", until_ready=False, **door.settings)

    async def is_told() -> bool:
        answer = await door.service.client().get("/readyz")
        return "SSH_MANAGER_ENCRYPTION_KEY is not the key" in answer.text

    await eventually(is_told)


async def test_the_fingerprint_is_that_of_the_stored_key(place: Place) -> None:
    answer = await place.door.admin.get(f"{place.url}/ssh-fingerprint")
    expected = {"fingerprint": (await place.key()).fingerprint, "algorithm": "ssh-ed25519", "verified": True}
    assert answer.json() == expected
    await place.door.sql("update ssh_key set fingerprint = 'SHA256:somebodyelse'")
    answer = await place.door.admin.get(f"{place.url}/ssh-fingerprint")
    assert answer.json() == {**expected, "verified": False}
    await place.door.sql("update ssh_key set public_key = 'ssh-ed25519 ???'")
    refused(await place.door.admin.get(f"{place.url}/ssh-fingerprint"), 500, "public_key_unreadable")
    await place.door.sql("delete from ssh_key")
    for answer in (
        await place.door.admin.get(f"{place.url}/ssh-fingerprint"),
        await place.door.admin.post(f"{place.url}/ssh-test"),
        await place.door.admin.post(f"{place.url}/rotate-ssh-key"),
    ):
        refused(answer, 400, "no_ssh_key")
    answer = await place.door.admin.post(f"{place.url}/ssh-reconnect")
    assert (answer.status_code, answer.json()["success"]) == (200, False)


async def test_a_key_that_was_tampered_with_is_not_used_and_is_told(place: Place) -> None:
    await place.door.sql("update ssh_key set fingerprint = 'SHA256:somebodyelse'")
    failed = {"success": False, "message": "SSH key integrity check failed: fingerprint mismatch"}
    assert (await place.door.admin.post(f"{place.url}/ssh-reconnect")).json() == failed
    assert await rotate(place) == failed
    assert (await place.door.admin.post(f"{place.url}/ssh-test")).json()["error"] == failed["message"]
    entries = await place.door.entries(event_type="fingerprint_mismatch")
    assert [entry["username"] for entry in entries] == ["user_admin"] * 3
    assert await place.until_event("fingerprint_mismatch")
    assert (await place.status())["connection_state"] == "connected"  # what stands, stands


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
