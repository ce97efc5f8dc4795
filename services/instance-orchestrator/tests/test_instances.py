"""What people meet when they make, show and change instances."""

import asyncio
from datetime import datetime

import httpx
import pytest
from orchestrator_door import INSTANCES, Door, Open, refused

from shoal_events import AssignmentChanged, InstanceCreated, InstanceDeleted, InstanceRenamed

CONTRACT_LIST = {
    *("id", "name", "display_name", "nodeport_chrome", "nodeport_terminal", "status", "cpu_request", "cpu_limit"),
    *("memory_request", "memory_limit", "storage_clawdbot", "storage_homebrew", "storage_clawd", "storage_chrome"),
    *("has_anthropic_override", "has_openai_override", "has_brave_override", "created_at", "updated_at"),
}
WEB_INTERFACES = {
    *("api_key_overrides", "models", "default_model", "container_image", "has_image_override", "vnc_resolution"),
    *("has_resolution_override", "control_url", "gateway_token", "allowed_source_ips", "sort_order"),
    *("vnc_chrome_url", "vnc_terminal_url"),
}


async def test_create_answers_creating_as_the_contract_shows(idle: Door) -> None:
    body = await idle.create("Bot Alpha", openai_api_key="sk-override-key-here", anthropic_api_key=None)
    assert body.keys() >= CONTRACT_LIST | WEB_INTERFACES
    assert (body["id"], body["name"], body["display_name"], body["status"]) == (1, "bot-alpha", "Bot Alpha", "creating")
    assert (body["nodeport_chrome"], body["nodeport_terminal"]) == (30100, 30101)
    screen = f"http://127.0.0.1:8080/api/v1/instances/{body['id']}/desktop/vnc.html?autoconnect=true"
    assert (body["vnc_chrome_url"], body["vnc_terminal_url"]) == (screen, screen)
    assert body["control_url"] == f"/api/v1/instances/{body['id']}/control/"
    assert (body["cpu_request"], body["cpu_limit"]) == ("500m", "2000m")
    assert (body["memory_request"], body["memory_limit"]) == ("1Gi", "4Gi")
    assert [body[f"storage_{volume}"] for volume in ("clawdbot", "homebrew", "clawd", "chrome")] == [
        *("5Gi", "10Gi", "5Gi", "5Gi")
    ]
    assert [body[f"has_{key}_override"] for key in ("anthropic", "openai", "brave")] == [False, True, False]
    (event,) = await idle.suite.events(InstanceCreated)
    assert (event.instance_id, event.name, event.account_id) == ("1", "bot-alpha", "acct_1")
    assert "override-key" not in event.to_json().decode()


async def test_times_are_utc_without_a_fraction(idle: Door) -> None:
    body = await idle.create()
    assert datetime.strptime(body["created_at"], "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007
    assert datetime.strptime(body["updated_at"], "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007


@pytest.mark.parametrize(
    ("display_name", "name"),
    [
        ("Bot Alpha", "bot-alpha"),
        ("My Test Bot #3", "bot-my-test-bot-3"),
        ("Production WhatsApp", "bot-production-whatsapp"),
        ("a_b  c", "bot-a-b-c"),
        ("bot-", "bot-bot"),
        ("--kube-system--", "bot-kube-system"),
        ("x" * 90, "bot-" + "x" * 48),
        ("y" * 47 + " z", "bot-" + "y" * 47),
    ],
)
async def test_names_follow_the_rule(idle: Door, display_name: str, name: str) -> None:
    assert (await idle.create(display_name))["name"] == name


@pytest.mark.parametrize("display_name", ["", "   ", "🤖", "---", "x" * 101, "a\x07b", None, 7])
async def test_a_name_that_leads_nowhere_is_refused(idle: Door, display_name: object) -> None:
    refused(await idle.admin.post(INSTANCES, json={"display_name": display_name}), 400, "validation_error")


async def test_display_name_is_required(idle: Door) -> None:
    refused(await idle.admin.post(INSTANCES, json={}), 400, "validation_error", "display_name is required")


async def test_a_taken_name_is_a_conflict_and_takes_no_ports(idle: Door) -> None:
    await idle.create("Bot Alpha")
    answer = await idle.admin.post(INSTANCES, json={"display_name": "bot_alpha"})
    refused(answer, 409, "instance_name_taken", "Instance name 'bot-alpha' already exists")
    refused(await idle.stranger.post(INSTANCES, json={"display_name": "Alpha"}), 409, "instance_name_taken")
    assert (await idle.create("Beta"))["nodeport_chrome"] == 30102


async def test_two_hundred_concurrent_creates_take_fifty_pairs(idle: Door) -> None:
    answers = await asyncio.gather(
        *(idle.admin.post(INSTANCES, json={"display_name": f"Bot {number}"}) for number in range(200))
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201] * 50 + [409] * 150
    ports = sorted(answer.json()["nodeport_chrome"] for answer in answers if answer.status_code == 201)
    assert ports == list(range(30100, 30200, 2))
    refused(next(answer for answer in answers if answer.status_code == 409), 409, "no_free_ports")
    assert len(await idle.suite.events(InstanceCreated, count=50)) == 50


async def test_fields_that_are_not_the_callers_to_set_are_ignored(idle: Door) -> None:
    body = await idle.create(
        id=77, name="kube-system", status="running", nodeport_chrome=22, owner_id="x", account_id="acct_2"
    )
    assert (body["id"], body["name"], body["status"], body["nodeport_chrome"]) == (1, "bot-alpha", "creating", 30100)
    assert (await idle.stranger.get(INSTANCES)).json() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"cpu_request": "lots"},
        {"cpu_limit": "-1"},
        {"cpu_limit": "0"},
        {"cpu_request": "3", "cpu_limit": "2"},
        {"cpu_request": "٣"},
        {"memory_request": "1GB"},
        {"memory_limit": "1e99999"},
        {"memory_request": "8Gi"},
        {"storage_chrome": ""},
        {"storage_chrome": "0Gi"},
        {"storage_chrome": "9" * 30},
        {"container_image": "a b"},
        {"vnc_resolution": "wide"},
        {"api_keys": {"LD_PRELOAD": "/tmp/x.so"}},
        {"api_keys": {"lower": "x"}},
        {"api_keys": {"A_KEY": "two\nlines"}},
        {"openai_api_key": 7},
    ],
)
async def test_what_no_instance_can_be_given_is_refused(idle: Door, fields: dict) -> None:
    refused(await idle.admin.post(INSTANCES, json={"display_name": "x", **fields}), 400, "validation_error")
    assert (await idle.admin.get(INSTANCES)).json() == []


@pytest.mark.parametrize("quantity", ["2", "0.5", "1500m", "1e1", ".5"])
async def test_quantities_follow_kubernetes_grammar(idle: Door, quantity: str) -> None:
    assert (await idle.create(cpu_request="100m", cpu_limit=quantity))["cpu_limit"] == quantity


@pytest.mark.parametrize(
    ("instance_id", "status"),
    [
        *(
            ("-1", 400),
            ("abc", 400),
            ("1.5", 400),
            ("2147483648", 400),
            ("9" * 30, 400),
            ("%D9%A1", 400),
            ("1%00", 400),
        ),
        *(("0", 404), ("77", 404)),
    ],
)
async def test_ids_that_are_none_are_told_from_those_that_are_nobodys(
    idle: Door, instance_id: str, status: int
) -> None:
    code = {400: "invalid_instance_id", 404: "not_found"}[status]
    detail = {400: "Invalid instance ID", 404: "Instance not found"}[status]
    for answer in (
        await idle.admin.get(f"{INSTANCES}/{instance_id}"),
        await idle.admin.post(f"{INSTANCES}/{instance_id}/stop"),
        await idle.admin.get(f"{INSTANCES}/{instance_id}/config"),
        await idle.admin.get(f"{INSTANCES}/{instance_id}/logs"),
        await idle.admin.delete(f"{INSTANCES}/{instance_id}"),
    ):
        refused(answer, status, code, detail)


VERBS = (
    *(("GET", ""), ("PUT", ""), ("POST", "/start"), ("POST", "/stop"), ("POST", "/restart")),
    *(("GET", "/config"), ("PUT", "/config"), ("GET", "/logs")),
)


async def test_another_accounts_instance_is_not_found(idle: Door) -> None:
    await idle.create()
    for method, path in (*VERBS, ("DELETE", ""), ("POST", "/clone")):
        answer = await idle.stranger.request(method, f"{INSTANCES}/1{path}", json={"config": "{}"})
        refused(answer, 404, "not_found", "Instance not found")


async def test_an_instance_that_is_not_assigned_is_forbidden(idle: Door) -> None:
    await idle.create()
    await idle.create("Beta")
    await idle.tell_user("user_alice")
    await idle.assign("user_alice", 2)
    for method, path in VERBS:
        refused(await idle.alice.request(method, f"{INSTANCES}/1{path}", json={"config": "{}"}), 403)
    assert [one["id"] for one in (await idle.alice.get(INSTANCES)).json()] == [2]
    assert (await idle.alice.get(f"{INSTANCES}/2")).status_code == 200
    assert (await idle.alice.post(f"{INSTANCES}/2/stop")).json() == {"status": "stopped"}


async def test_only_admins_make_and_delete_and_only_users_see(idle: Door) -> None:
    await idle.create()
    await idle.tell_user("user_alice")
    await idle.assign("user_alice", 1)
    for method, path, body in (
        *(("POST", INSTANCES, {"display_name": "x"}), ("DELETE", f"{INSTANCES}/1", None)),
        *(("POST", f"{INSTANCES}/1/clone", None), ("GET", "/api/v1/settings", None), ("PUT", "/api/v1/settings", {})),
        *(("GET", "/api/v1/users/user_bob/instances", None),),
        ("PUT", "/api/v1/users/user_alice/instances", {"instance_ids": []}),
    ):
        refused(await idle.alice.request(method, path, json=body), 403, "forbidden")
        refused(await idle.nobody.request(method, path, json=body), 401, "unauthorized")
    refused(await idle.nobody.get(INSTANCES), 401, "unauthorized")


async def test_start_stop_and_restart_answer_the_contracts_words(idle: Door) -> None:
    await idle.create()
    for verb, said, shown in (("stop", "stopped", "stopping"), ("start", "running", "creating")):
        answer = await idle.admin.post(f"{INSTANCES}/1/{verb}")
        assert (answer.status_code, answer.json()) == (200, {"status": said})
        assert (await idle.show(1))["status"] == shown
    assert (await idle.admin.post(f"{INSTANCES}/1/restart")).json() == {"status": "running"}


async def test_delete_is_204_frees_the_name_at_once_and_tells_everybody(idle: Door) -> None:
    await idle.create()
    await idle.tell_user("user_alice")
    await idle.assign("user_alice", 1)
    answer = await idle.admin.delete(f"{INSTANCES}/1")
    assert (answer.status_code, answer.content) == (204, b"")
    refused(await idle.admin.get(f"{INSTANCES}/1"), 404)
    refused(await idle.admin.delete(f"{INSTANCES}/1"), 404)
    again = await idle.create()
    assert (again["id"], again["name"], again["nodeport_chrome"]) == (2, "bot-alpha", 30102)
    (gone,) = await idle.suite.events(InstanceDeleted)
    assert (gone.instance_id, gone.name) == ("1", "bot-alpha")
    changes = await idle.suite.events(AssignmentChanged, count=2)
    assert [change.instance_ids for change in changes] == [("1",), ()]


async def test_put_changes_what_is_given_and_nothing_else(idle: Door) -> None:
    before = await idle.create(openai_api_key="sk-one", brave_api_key="brave")
    answer = await idle.admin.put(
        f"{INSTANCES}/1",
        json={
            "display_name": "Bot Omega",
            "cpu_limit": "3",
            "storage_chrome": "6Gi",
            "openai_api_key": None,
            "api_keys": {"GROQ_API_KEY": "gsk"},
            "models": {"extra": ["claude-x", "claude-x"]},
        },
    )
    after = answer.json()
    assert answer.status_code == 200
    assert (after["display_name"], after["name"], after["cpu_limit"]) == ("Bot Omega", "bot-alpha", "3")
    assert after["api_key_overrides"] == ["BRAVE_API_KEY", "GROQ_API_KEY"]
    assert after["models"] == {"effective": ["claude-x"], "disabled_defaults": [], "extra": ["claude-x"]}
    assert {field for field in before if before[field] != after[field]} <= {
        *("display_name", "cpu_limit", "storage_chrome", "has_openai_override", "api_key_overrides", "models"),
        *("updated_at",),
    }
    (event,) = await idle.suite.events(InstanceRenamed)
    assert event.display_name == "Bot Omega"


async def test_a_volume_can_only_grow(idle: Door) -> None:
    await idle.create()
    refused(await idle.admin.put(f"{INSTANCES}/1", json={"storage_clawd": "4Gi"}), 400, "validation_error")
    assert (await idle.admin.put(f"{INSTANCES}/1", json={"storage_clawd": "5120Mi"})).status_code == 200


async def test_users_change_names_and_keys_but_not_resources_or_images(idle: Door) -> None:
    await idle.create()
    await idle.tell_user("user_alice")
    await idle.assign("user_alice", 1)
    assert (await idle.alice.put(f"{INSTANCES}/1", json={"display_name": "Mine"})).status_code == 200
    for change in ({"cpu_limit": "3"}, {"container_image": "evil:latest"}):
        refused(await idle.alice.put(f"{INSTANCES}/1", json=change), 403, "forbidden", "Admin access required")


async def test_reorder_moves_what_is_named_within_its_places(idle: Door) -> None:
    for name in "abcd":
        await idle.create(name)
    assert (await idle.admin.put(f"{INSTANCES}/reorder", json={"ordered_ids": [4, 1, 2, 3]})).status_code == 204
    assert (await idle.admin.put(f"{INSTANCES}/reorder", json={"ordered_ids": [3, 4]})).status_code == 204
    assert [one["id"] for one in (await idle.admin.get(INSTANCES)).json()] == [3, 1, 2, 4]


async def test_reorder_is_for_those_who_may_use_what_they_move(idle: Door) -> None:
    await idle.create()
    await idle.create("Beta")
    refused(await idle.bob.put(f"{INSTANCES}/reorder", json={"ordered_ids": [2, 1]}), 403)
    refused(await idle.stranger.put(f"{INSTANCES}/reorder", json={"ordered_ids": [2, 1]}), 404)
    refused(await idle.admin.put(f"{INSTANCES}/reorder", json={}), 400, None, "ordered_ids is required")
    refused(await idle.admin.put(f"{INSTANCES}/reorder", json={"ordered_ids": [1, 1]}), 400)


async def test_a_clone_has_resources_config_and_keys_but_its_own_name_and_ports(idle: Door) -> None:
    await idle.create(cpu_limit="3", openai_api_key="sk-one")
    await idle.admin.put(f"{INSTANCES}/1/config", json={"config": '{"a": 1}'})
    answer = await idle.admin.post(f"{INSTANCES}/1/clone")
    assert answer.status_code == 201
    clone = answer.json()
    assert (clone["display_name"], clone["name"]) == ("Bot Alpha (Copy)", "bot-alpha-copy")
    assert (clone["cpu_limit"], clone["has_openai_override"], clone["nodeport_chrome"]) == ("3", True, 30102)
    assert (await idle.admin.get(f"{INSTANCES}/2/config")).json() == {"config": '{"a": 1}'}
    another = (await idle.admin.post(f"{INSTANCES}/1/clone")).json()
    assert another["name"].startswith("bot-alpha-copy-")
    assert len(another["name"]) == len("bot-alpha-copy-") + 6


CONFIG = '{ "key": "värde",\r\n\t"api_key": "${ANTHROPIC_API_KEY}", "n": 1.0 }  \n'


async def test_config_is_kept_byte_for_byte_and_never_expanded(idle: Door) -> None:
    await idle.create(anthropic_api_key="sk-secret")
    assert "${ANTHROPIC_API_KEY}" in (await idle.admin.get(f"{INSTANCES}/1/config")).json()["config"]
    answer = await idle.admin.put(f"{INSTANCES}/1/config", json={"config": CONFIG})
    assert (answer.status_code, answer.json()) == (200, {"config": CONFIG, "restarted": True})
    assert (await idle.admin.get(f"{INSTANCES}/1/config")).json() == {"config": CONFIG}
    await idle.admin.post(f"{INSTANCES}/1/stop")
    answer = await idle.admin.put(f"{INSTANCES}/1/config", json={"config": "{}"})
    assert answer.json() == {"config": "{}", "restarted": False}


async def test_an_instance_begins_with_the_config_it_was_created_with(idle: Door) -> None:
    async def config_of(display_name: str, config: str | None) -> str:
        made = await idle.create(display_name=display_name, clawdbot_config=config)
        return (await idle.admin.get(f"{INSTANCES}/{made['id']}/config")).json()["config"]

    default = await config_of("Bot Alpha", None)
    assert "${ANTHROPIC_API_KEY}" in default
    assert await config_of("Bot Beta", CONFIG) == CONFIG
    assert await config_of("Bot Gamma", "{}") == default
    assert await config_of("Bot Epsilon", "[]") == "[]"
    for wrong, status, code in (("{", 400, "invalid_config"), (f'"{"x" * 512 * 1024}"', 413, "payload_too_large")):
        body = {"display_name": "Bot Delta", "clawdbot_config": wrong}
        refused(await idle.admin.post(INSTANCES, json=body), status, code)


@pytest.mark.parametrize("config", ["", "{", "{'a': 1}", '{"a": NaN}', "[" * 100_000, '{"a": 1e999}x', "{} {}"])
async def test_a_config_that_is_no_json_is_refused(idle: Door, config: str) -> None:
    await idle.create()
    answer = await idle.admin.put(f"{INSTANCES}/1/config", json={"config": config})
    refused(answer, 400, "invalid_config", "Invalid JSON in config")


async def test_a_config_that_is_too_large_is_refused(idle: Door) -> None:
    await idle.create()
    config = '{"a": "' + "x" * 512 * 1024 + '"}'
    refused(await idle.admin.put(f"{INSTANCES}/1/config", json={"config": config}), 413, "payload_too_large")


async def test_ports_that_somebody_listens_on_are_skipped(open_door: Open) -> None:
    idle = await open_door(is_idle=True)
    server = await asyncio.start_server(lambda *_: None, idle.settings["SHOAL_NODE_ADDRESS"], 30101)
    async with server:
        assert (await idle.create())["nodeport_chrome"] == 30102


async def test_a_creation_that_is_sent_again_under_its_key_is_one_creation(idle: Door) -> None:
    async def create(key: str, name: str, client: httpx.AsyncClient | None = None) -> httpx.Response:
        headers = {"idempotency-key": key}
        return await (client or idle.admin).post(INSTANCES, json={"display_name": name}, headers=headers)

    answers = await asyncio.gather(*(create("k1", "Bot Alpha") for _ in range(5)))
    assert [answer.status_code for answer in answers] == [201] * 5
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(await idle.suite.events(InstanceCreated)) == 1
    refused(await create("k1", "Bot Beta"), 409, "idempotency_key_reused")
    refused(await create("k2", "Bot Alpha"), 409, "instance_name_taken")
    assert (await create("k2", "Bot Gamma")).status_code == 201
    assert (await create("k1", "Bot Delta", idle.stranger)).status_code == 201
    refused(await create("k" * 256, "Bot Zeta"), 400)
    (row,) = await idle.sql("select digest from creation where account_id = 'acct_1' and key = 'k1'")
    assert len(row["digest"]) == 32
