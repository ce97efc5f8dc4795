"""Who may ask: every route refuses in the same order and words."""

from ssh_door import INSTANCES, Door, Place, refused

from shoal.testing.suite import eventually
from shoal_events import InstanceRenamed

READ = ("ssh-status", "ssh-events", "ssh-fingerprint")
ACT = ("ssh-test", "ssh-reconnect", "rotate-ssh-key")
IDS = ("x", "-1", "0x1", "2147483648", "9" * 30, "1.0", "\N{ARABIC-INDIC DIGIT ONE}", "1%00", "%20")


async def test_an_id_that_is_none_is_told_before_anything_else(door: Door) -> None:
    for one in IDS:
        for path in READ:
            refused(
                await door.admin.get(f"{INSTANCES}/{one}/{path}"), 400, "invalid_instance_id", "Invalid instance ID"
            )
        for path in ACT:
            refused(await door.admin.post(f"{INSTANCES}/{one}/{path}"), 400, "invalid_instance_id")
    for path in READ:
        refused(await door.admin.get(f"{INSTANCES}/77/{path}"), 404, "not_found", "Instance not found")


async def test_nobody_gets_in_without_an_identity(door: Door) -> None:
    for path in (*(f"{INSTANCES}/1/{path}" for path in (*READ, "ssh-allowed-ips")), "/api/v1/ssh-status"):
        refused(await door.nobody.get(path), 401)
    for path in ACT:
        refused(await door.nobody.post(f"{INSTANCES}/1/{path}"), 401)


async def test_not_assigned_is_forbidden_and_not_of_the_account_is_not_found(place: Place) -> None:
    for path in READ:
        refused(await place.door.alice.get(f"{place.url}/{path}"), 403, "forbidden", "Access denied")
        refused(await place.door.stranger.get(f"{place.url}/{path}"), 404, "not_found", "Instance not found")
    for path in ACT:
        refused(await place.door.alice.post(f"{place.url}/{path}"), 403)
        refused(await place.door.stranger.post(f"{place.url}/{path}"), 404)
    assert await place.door.entries(username="user_alice") == []


async def test_a_rename_is_seen_and_an_older_fact_changes_nothing(place: Place) -> None:
    async def rename(name: str, version: int) -> None:
        await place.door.tell(InstanceRenamed(instance_id="1", account_id="acct_1", display_name=name, version=version))

    async def shown() -> str:
        body = (await place.door.admin.get("/api/v1/ssh-status")).json()
        return body["instances"][0]["display_name"]

    async def is_new() -> bool:
        return await shown() == "New"

    await rename("New", 9)
    await eventually(is_new)
    await rename("Old", 8)
    await place.door.assign("user_alice", 1)

    async def is_assigned() -> bool:
        return (await place.door.alice.get(f"{place.url}/ssh-status")).status_code == 200

    await eventually(is_assigned)
    assert await shown() == "New"
