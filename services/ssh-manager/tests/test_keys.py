"""Keys: one for each instance, sealed, bound to its row, never told."""

import asyncio
import base64
import os
from pathlib import Path

import pytest
from rotating import private_keys, rotate, rotate_and_apply
from ssh_door import Door, Open, Place, refused

from shoal.testing.sshd import Sshd
from shoal.testing.suite import eventually
from shoal_events import SshKeyCreated


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
