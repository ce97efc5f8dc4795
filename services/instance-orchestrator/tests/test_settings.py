"""What admins meet at settings and assignments."""

import base64
import os
from typing import Any

import pytest
from orchestrator_door import INSTANCES, Door, Open, refused

from instance_orchestrator.domain.keys import mask
from shoal.testing.suite import eventually
from shoal_events import (
    AccountDeleted,
    AssignmentChanged,
    InstanceCreated,
    InstanceDeleted,
    SshKeyCreated,
    UserDeleted,
)

SETTINGS = "/api/v1/settings"
CONTRACT = {
    *("anthropic_api_key", "openai_api_key", "brave_api_key", "default_cpu_request", "default_cpu_limit"),
    *("default_memory_request", "default_memory_limit", "default_storage_clawdbot", "default_storage_homebrew"),
    *("default_storage_clawd", "default_storage_chrome"),
}


async def put(door: Door, body: dict[str, Any]) -> dict[str, Any]:
    answer = await door.admin.put(SETTINGS, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_settings_begin_with_the_contracts_defaults(idle: Door) -> None:
    body = (await idle.admin.get(SETTINGS)).json()
    assert body.keys() >= CONTRACT | {"api_keys", "default_models", "default_container_image", "default_vnc_resolution"}
    assert (body["anthropic_api_key"], body["default_cpu_limit"], body["default_storage_homebrew"]) == (
        *("", "2000m", "10Gi"),
    )


async def test_keys_are_shown_masked_and_never_whole(idle: Door) -> None:
    body = await put(idle, {"anthropic_api_key": "sk-ant-new-key-here", "brave_api_key": "abcd"})
    assert (body["anthropic_api_key"], body["brave_api_key"], body["openai_api_key"]) == ("****here", "****", "")
    assert body["api_keys"] == {"ANTHROPIC_API_KEY": "****here", "BRAVE_API_KEY": "****"}


@pytest.mark.parametrize(
    ("key", "shown"), [("", ""), ("abcde", "****"), ("sk-fifteen-char", "****"), ("sk-sixteen-chars", "****hars")]
)
def test_a_mask_shows_a_quarter_of_a_key_at_most(key: str, shown: str) -> None:
    assert mask(key) == shown


async def test_a_masked_key_sent_back_changes_nothing(idle: Door) -> None:
    shown = await put(idle, {"anthropic_api_key": "sk-ant-new-key-here", "api_keys": {"GROQ_API_KEY": "gsk-long"}})
    (before,) = await idle.sql("select generation from instance where id = $1", (await idle.create())["id"])
    assert await put(idle, {**shown, "default_cpu_limit": "3000m"}) == {**shown, "default_cpu_limit": "3000m"}
    (after,) = await idle.sql("select generation from instance")
    assert after == before


async def test_keys_can_be_taken_away(idle: Door) -> None:
    await put(idle, {"anthropic_api_key": "sk-ant", "api_keys": {"GROQ_API_KEY": "gsk-long", "X_KEY": "xxxxxxx"}})
    body = await put(idle, {"anthropic_api_key": "", "api_keys": {"X_KEY": None}, "delete_api_keys": ["GROQ_API_KEY"]})
    assert (body["anthropic_api_key"], body["api_keys"]) == ("", {})


@pytest.mark.parametrize(
    "body",
    [
        {"fernet_key": "x"},
        {"orchestrator_backend": "none"},
        {"default_cpu_limit": "100m"},
        {"default_storage_chrome": "much"},
        {"default_vnc_resolution": "wide"},
        {"default_models": "x"},
        {"api_keys": {"PATH": "/tmp"}},
        {"delete_api_keys": ["nope nope"]},
    ],
)
async def test_what_is_not_on_the_list_cannot_be_set(idle: Door, body: dict[str, Any]) -> None:
    before = (await idle.admin.get(SETTINGS)).json()
    refused(await idle.admin.put(SETTINGS, json=body), 400, "validation_error")
    assert (await idle.admin.get(SETTINGS)).json() == before


async def test_defaults_are_really_the_defaults_of_new_instances(idle: Door) -> None:
    await put(idle, {"default_cpu_limit": "3000m", "default_storage_clawd": "7Gi", "default_models": ["a", "b"]})
    body = await idle.create(storage_chrome="6Gi", models={"disabled": ["a"], "extra": ["c"]})
    assert (body["cpu_limit"], body["storage_clawd"], body["storage_chrome"]) == ("3000m", "7Gi", "6Gi")
    assert body["models"] == {"effective": ["b", "c"], "disabled_defaults": ["a"], "extra": ["c"]}


async def test_settings_belong_to_one_account(idle: Door) -> None:
    await put(idle, {"anthropic_api_key": "sk-ant-new-key-here"})
    assert (await idle.stranger.get(SETTINGS)).json()["anthropic_api_key"] == ""


async def test_a_new_key_concerns_only_instances_without_one_of_their_own(idle: Door) -> None:
    await idle.create("Own", anthropic_api_key="sk-own")
    await idle.create("Shared")
    await put(idle, {"anthropic_api_key": "sk-ant-new-key-here"})
    generations = await idle.sql("select name, generation from instance order by name")
    assert [tuple(row) for row in generations] == [("bot-own", 1), ("bot-shared", 2)]


async def test_no_key_stands_in_the_database_or_on_nats(idle: Door) -> None:
    canary = "sk-CANARY-" + os.urandom(8).hex()
    await put(idle, {"anthropic_api_key": canary})
    await idle.create(openai_api_key=canary)
    for table in ("instance", "instance_key", "account_key", "host_key", "setting", "outbox"):
        rows = await idle.sql(f"select row_to_json(t)::text as row from {table} as t")  # noqa: S608
        dumped = " ".join(row["row"] for row in rows)
        assert canary not in dumped
        assert canary.encode().hex() not in dumped
    assert "PRIVATE KEY" not in str(await idle.sql("select * from host_key"))
    assert canary not in str(await idle.suite.events(InstanceCreated))


async def test_the_wrong_encryption_key_keeps_the_service_from_being_ready(open_door: Open) -> None:
    first = await open_door(is_idle=True, INSTANCE_ORCHESTRATOR_ENCRYPTION_KEY=new_key())
    await first.suite.stop(first.service)
    second = await first.suite.start(
        "instance-orchestrator",
        until_ready=False,
        **first.settings | {"INSTANCE_ORCHESTRATOR_ENCRYPTION_KEY": new_key()},
    )

    def told() -> str:
        return second.running.resources.health.readiness().checks.get("encryption key", "")

    await eventually(lambda: "is not the key" in told(), told)


async def test_the_encryption_key_can_be_replaced(open_door: Open) -> None:
    old, new = new_key("k1"), new_key("k2")
    first = await open_door(is_idle=True, INSTANCE_ORCHESTRATOR_ENCRYPTION_KEY=old)
    await put(first, {"anthropic_api_key": "sk-ant-new-key-here"})
    await first.create(openai_api_key="sk-of-its-own")
    await first.suite.stop(first.service)
    settings = first.settings | {"INSTANCE_ORCHESTRATOR_ENCRYPTION_KEY": f"{new},{old}"}
    second = await first.suite.start("instance-orchestrator", **settings)
    await eventually(lambda: all_sealed_by(first, b"k2"))
    await first.suite.stop(second)
    settings["INSTANCE_ORCHESTRATOR_ENCRYPTION_KEY"] = new
    third = await first.suite.start("instance-orchestrator", **settings)
    shown = (await Door(first.suite, third, settings).admin.get(SETTINGS)).json()
    assert shown["anthropic_api_key"] == "****here"


async def all_sealed_by(door: Door, key_id: bytes) -> bool:
    """Tell whether everything that is sealed is sealed under one key."""
    rows = await door.sql(
        """
        select sealed from account_key
         union all select sealed from instance_key
         union all select sealed from host_key
         union all select pairing_token from instance where pairing_token is not null
         union all select sealed from key_check
        """
    )
    return bool(rows) and all(bytes(row["sealed"])[2 : 2 + len(key_id)] == key_id for row in rows)


async def test_assignments_are_replaced_as_a_whole(idle: Door) -> None:
    for name in "ab":
        await idle.create(name)
    await idle.tell_user("user_alice")
    await idle.assign("user_alice", 1, 2, 2)
    assert (await idle.admin.get("/api/v1/users/user_alice/instances")).json() == {"instance_ids": [1, 2]}
    answer = await idle.admin.put("/api/v1/users/user_alice/instances", json={"instance_ids": [2]})
    assert answer.json() == {"status": "ok"}
    refused(await idle.alice.get(f"{INSTANCES}/1"), 403)
    events = await idle.suite.events(AssignmentChanged, count=2)
    assert [(event.instance_ids, event.version) for event in events] == [(("1", "2"), 1), (("2",), 2)]


async def test_assignments_name_users_and_instances_of_the_account(idle: Door) -> None:
    await idle.create()
    await idle.tell_user("user_alice")
    await idle.assign("user_alice", 1)
    refused(await idle.stranger.get("/api/v1/users/user_alice/instances"), 404, None, "User not found")
    refused(await idle.admin.get("/api/v1/users/user_none/instances"), 404)
    refused(await idle.admin.put("/api/v1/users/user_alice/instances", json={"instance_ids": [9]}), 404)
    refused(await idle.admin.put("/api/v1/users/user_alice/instances", json={"instance_ids": [-1]}), 400)
    refused(await idle.admin.put("/api/v1/users/user_alice/instances", json={}), 400)


async def test_a_deleted_user_has_nothing_assigned(idle: Door) -> None:
    await idle.create()
    await idle.tell_user("user_alice")
    await idle.assign("user_alice", 1)
    await idle.suite.publish(
        UserDeleted(user_id="user_alice", account_id="acct_1", version=2),
        event_id="00000000-0000-4000-8000-000000000001",
    )
    events = await idle.suite.events(AssignmentChanged, count=2)
    assert events[-1].instance_ids == ()
    refused(await idle.admin.get("/api/v1/users/user_alice/instances"), 404)


async def test_a_deleted_account_has_no_instances_keys_or_settings(idle: Door) -> None:
    await put(idle, {"anthropic_api_key": "sk-ant-new-key-here", "default_cpu_limit": "3"})
    await idle.create()
    told = AccountDeleted(account_id="acct_1", version=2)
    await idle.suite.publish(told, event_id="00000000-0000-4000-8000-000000000001")
    (gone,) = await idle.suite.events(InstanceDeleted)
    assert gone.instance_id == "1"
    shown = (await idle.admin.get(SETTINGS)).json()
    assert (shown["anthropic_api_key"], shown["default_cpu_limit"]) == ("", "2000m")
    assert (await idle.admin.get(INSTANCES)).json() == []


async def test_a_line_that_does_more_than_let_somebody_in_is_no_key(idle: Door) -> None:
    await idle.create()
    good = f"ssh-ed25519 {'A' * 68} ssh-manager"
    bad = (f'command="x" {good}', f"{good}\n{good}", f"{good} x'; touch /tmp/p", "ssh-rsa AAAA")
    for number, line in enumerate((*bad, good)):
        told = SshKeyCreated(
            instance_id="1", account_id="acct_1", public_key=line, fingerprint="SHA256:x", version=number + 1
        )
        await idle.suite.publish(told, event_id=f"00000000-0000-4000-8000-00000000000{number}")

    async def kept() -> list[str]:
        return [row["public_key"] for row in await idle.sql("select public_key from ssh_key")]

    async def is_taken() -> bool:
        return await kept() == [good]

    await eventually(is_taken)


async def test_export_tells_instances_and_assignments_page_by_page(idle: Door) -> None:
    for name in "abc":
        await idle.create(name)
    await idle.admin.delete(f"{INSTANCES}/2")
    await idle.tell_user("user_alice")
    await idle.assign("user_alice", 1)
    client, kinds, after = idle.as_service("ssh-manager"), [], ""
    while after is not None:
        page = (await client.get("/internal/export", params={"after": after, "limit": 2})).json()
        kinds += [(item["type"], item["fact"].get("instance_id")) for item in page["items"]]
        after = page["next"]
    assert kinds == [
        ("instance.created.v1", "1"),
        ("instance.deleted.v1", "2"),
        ("instance.created.v1", "3"),
        ("assignment.changed.v1", None),
    ]
    refused(await idle.admin.get("/internal/export"), 401, "unauthorized")
    refused(await idle.as_service("pairing").get("/internal/export"), 403, "forbidden")


def new_key(key_id: str = "k1") -> str:
    return f"{key_id}:{base64.b64encode(os.urandom(32)).decode()}"
