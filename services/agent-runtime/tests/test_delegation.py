"""Delegation, through the door: an agent hands work on, and rules say to whom."""

import asyncio
import json
import re
from typing import Any

import pytest
from runtime_door import Door
from runtime_sockets import wire
from runtime_talk import Talk

from shoal.testing.suite import eventually, user

pytestmark = pytest.mark.asyncio(loop_scope="module")

RULE = {
    "name": "low-complexity",
    "pattern": "search-*|list-*",
    "target": "offline/rules",
    "complexity_threshold": 0.3,
    "enabled": True,
    "priority": 2,
}


async def rules(talk: Talk) -> dict[str, dict[str, Any]]:
    answer = await talk.client.get("/api/delegation/rules")
    assert answer.status_code == 200
    return {rule["name"]: rule for rule in answer.json()}


async def put(talk: Talk, **changes: Any) -> dict[str, Any]:
    answer = await talk.client.patch("/api/delegation/rules", json=RULE | changes)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def history(talk: Talk, **query: Any) -> dict[str, Any]:
    answer = await talk.client.get("/api/delegation/history", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def asking(task: str, tool_name: str = "task") -> str:
    """Write a message upon which the offline model hands a task on."""
    return f"/tool delegate_task {json.dumps({'tool_name': tool_name, 'task': task})}"


async def hand_on(talk: Talk, task: str, tool_name: str = "task") -> dict[str, Any]:
    """Have the session's agent hand a task on; returns what history tells of it, with the tool's result as `output`."""
    told = await talk.say(asking(task, tool_name))
    newest = (await history(talk, limit=1))["items"][0]
    return newest | {"output": told["tool_calls"][0]["result"]}


async def test_rules_are_added_changed_and_deleted(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    assert (await rules(talk)).keys() == {"simple-transforms"}
    assert await put(talk) == RULE
    assert list(await rules(talk)) == ["simple-transforms", "low-complexity"]
    assert await put(talk, priority=0, target="anthropic/claude-haiku-3.5") == RULE | {
        "priority": 0,
        "target": "anthropic/claude-haiku-3.5",
    }
    switched = await talk.client.patch("/api/delegation/rules", json={"name": "low-complexity", "enabled": False})
    assert (switched.json()["enabled"], switched.json()["priority"]) == (False, 0)
    assert list(await rules(talk)) == ["low-complexity", "simple-transforms"]
    await put(talk, name="a b/c?")
    for name, path in (("low-complexity", "low-complexity"), ("a b/c?", "a%20b%2Fc%3F")):
        deleted = await talk.client.delete(f"/api/delegation/rules/{path}")
        assert deleted.json() == {"success": True, "deleted": name}
        gone = await talk.client.delete(f"/api/delegation/rules/{path}")
        assert (gone.status_code, gone.json()["error"]["code"]) == (404, "delegation_rule_not_found")
    await talk.client.delete("/api/delegation/rules/simple-transforms")
    assert await rules(talk) == {}


async def test_admins_write_rules_and_users_read_them(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    someone = shared_door.service.client(user(talk.account_id, "user_someone"))
    for method, path, body in (("PATCH", "", RULE), ("DELETE", "/simple-transforms", None)):
        answer = await someone.request(method, f"/api/delegation/rules{path}", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden"), method
    assert [rule["name"] for rule in (await someone.get("/api/delegation/rules")).json()] == ["simple-transforms"]


async def test_an_agent_delegates_to_plain_code_by_rule(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    told = await talk.say(asking('{"b":1}', "format-json"))
    assert '"b": 1' in told["tool_calls"][0]["result"]
    page = await history(talk)
    assert page.keys() == {"items", "total", "limit", "offset"}
    assert (page["total"], page["limit"], page["offset"]) == (1, 50, 0)
    [done] = page["items"]
    assert done.keys() >= {
        "task_id",
        "session_key",
        "target",
        "status",
        "started_at",
        "latency_ms",
        "tool_name",
        "complexity",
        "completed_at",
    }
    assert (done["session_key"], done["target"], done["status"], done["tier"], done["rule"]) == (
        talk.key,
        "agent-booster",
        "completed",
        1,
        "simple-transforms",
    )
    assert (await talk.client.get("/api/delegation/active")).json() == []


async def test_a_model_does_it_in_a_session_of_its_own(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    await put(talk)
    done = await hand_on(talk, "find the keys", "search-files")
    assert (done["status"], done["target"], done["tier"]) == ("completed", "offline/rules", 2)
    assert (done["rule"], done["latency_ms"] >= 0) == ("low-complexity", True)
    assert "offline/rules" in done["output"]
    session = (await talk.client.get(f"/api/sessions/{done['task_id']}")).json()
    assert [message["role"] for message in session["messages"]] == ["user", "assistant"]
    assert session["messages"][0]["content"] == "find the keys"
    spenders = await shared_door.sql(
        "select distinct credential_id from run where session_key = any ($1)", [talk.key, done["task_id"]]
    )
    assert [row["credential_id"] for row in spenders] == ["login_1"], "its budgets hold for what is handed on"


async def test_what_plain_code_cannot_do_falls_to_the_next_rule_and_then_to_the_default(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    no_json = await hand_on(talk, "not json at all", "format-json")
    assert (no_json["target"], no_json["status"], no_json.get("rule")) == ("offline/rules", "completed", None)
    assert no_json["fallback_reason"].startswith("agent-booster by rule simple-transforms: this is no JSON")
    assert no_json["output"].endswith(f"(offline/rules did it, for {no_json['fallback_reason']}.)")
    await put(talk, name="rest", pattern="*", target="nowhere/at-all", complexity_threshold=1.0, priority=10)
    failed = await hand_on(talk, "design, review, audit and debug it", "format-json")
    assert (failed["target"], failed["status"], failed["tier"]) == ("nowhere/at-all", "failed", 3)
    assert failed["error"]
    assert failed["fallback_reason"].startswith("agent-booster by rule simple-transforms: ")
    assert failed["error"] in failed["output"]
    reckoned = await hand_on(talk, "2 + 2", "calculate")
    assert (reckoned["target"], reckoned["tier"], reckoned["output"]) == ("agent-booster", 1, "4")
    assert "fallback_reason" not in reckoned


async def test_plain_code_does_what_the_tools_schema_gives_as_examples(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    schema = (await talk.client.get("/api/tools/delegate_task/schema")).json()
    examples = re.findall(r"`([^`]+)` for `([a-z-]+)`", schema["properties"]["task"]["description"])
    assert [kind for _, kind in examples] == ["calculate", "date-add"]
    for task, kind in examples:
        assert (await hand_on(talk, task, kind))["target"] == "agent-booster", task


async def test_plain_code_is_counted_as_requests_that_took_nothing(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    await hand_on(talk, "2 + 2", "calculate")
    await hand_on(talk, '{"a":1}', "format-json")
    costs = (await talk.client.get("/api/monitoring/costs")).json()
    first = costs["by_tier"][0]
    assert (first["tier"], first["request_count"], first["total_cost_usd"]) == (1, 2, 0.0)
    usage = (await talk.client.get("/api/monitoring/token-usage")).json()
    (boosted,) = [row for row in usage["by_provider"] if row["provider"] == "agent-booster"]
    assert (boosted["total_tokens"], boosted["request_count"]) == (0, 2)
    assert usage["total_requests"] == sum(row["request_count"] for row in costs["by_tier"])
    priced = [row["unpriced_requests"] for row in costs["by_provider"] if row["provider"] == "agent-booster"]
    assert priced == [0]


async def test_browsers_are_told_of_every_step(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    async with wire(shared_door.service, user(talk.account_id, "user_watching")) as browser:
        await browser.subscribe("delegation:update")
        done = await hand_on(talk, "hello")
        frames = [await browser.hear("delegation:update") for _ in range(3)]
    assert [frame["status"] for frame in frames] == ["pending", "running", "completed"]
    assert {frame["task_id"] for frame in frames} == {done["task_id"]}
    last = frames[-1]
    assert last["topic"] == "delegation:update"
    assert last["data"]["latency_ms"] == last["latency_ms"] >= 0
    assert (last["session_key"], last["tool_name"], last["target"]) == (talk.key, "task", "offline/rules")


async def test_work_is_not_handed_on_for_ever(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    task = "2+2"
    for _ in range(4):
        task = asking(task)
    await talk.say(task)
    told = [item["status"] for item in reversed((await history(talk))["items"])]
    assert len(told) == 4
    assert told[-1] == "failed"


async def fill(talk: Talk, pieces: int) -> None:
    """Have so many pieces of work go on, which nobody does."""
    done = await hand_on(talk, "hello")
    await talk.door.sql(
        """
        insert into delegation (task_id, account_id, session_key, run_id, child_run_id, tool_name, target, tier, rule,
                                fallback_reason, complexity, depth, status, started_at)
        select task_id || n, account_id, session_key, run_id, child_run_id, tool_name, target, tier, rule,
               fallback_reason, complexity, depth, 'running', started_at
          from delegation, generate_series(1, $2) as n
         where task_id = $1
        """,
        *(done["task_id"], pieces),
    )


async def test_no_account_has_hundreds_of_pieces_under_way(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    await fill(talk, 100)
    refused = await hand_on(talk, "hello")
    assert (refused["status"], refused["error"]) == (
        "failed",
        "100 pieces of work go on at once, not more: try again later.",
    )
    assert (await hand_on(talk, "2+2", "calculate"))["output"] == "4", "plain code takes nobody's room"


async def test_of_many_who_hand_on_the_last_piece_at_once_one_does(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    await fill(talk, 99)
    begun = [await talk.client.post("/api/sessions", json={"agent_id": talk.agent_id}) for _ in range(4)]

    async def hand_on_in(key: str) -> None:
        message = {"content": asking("/slowly " + "word " * 10)}
        (await talk.client.post(f"/api/sessions/{key}/messages", json=message)).raise_for_status()

    async def wait() -> bool:
        [found] = await shared_door.sql("select count(*) from pg_locks where not granted")
        return bool(found["count"] >= 4)

    async with shared_door.held("lock table delegation in share mode"):
        handing_on = [asyncio.create_task(hand_on_in(answer.json()["key"])) for answer in begun]
        await eventually(wait)
    await asyncio.gather(*handing_on)
    told = [item["status"] for item in (await history(talk, limit=4))["items"]]
    assert sorted(told) == ["completed", "failed", "failed", "failed"]


async def test_history_is_paged_and_filtered(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    await talk.say(asking("1+1", "calculate"))
    other = (await talk.client.post("/api/sessions", json={"agent_id": talk.agent_id})).json()["key"]
    first = talk.key
    talk.key = other
    await talk.say(asking("2+2", "calculate"))
    await talk.say(asking("hello"))
    assert [item["target"] for item in (await history(talk))["items"]] == [
        "offline/rules",
        "agent-booster",
        "agent-booster",
    ]
    assert (await history(talk, session=first))["total"] == 1
    assert (await history(talk, target="booster"))["total"] == 2
    assert (await history(talk, session=other, target="offline"))["total"] == 1
    assert (await history(talk, target="%"))["total"] == 0
    second = await history(talk, offset=1, limit=1)
    assert (len(second["items"]), second["total"], second["limit"], second["offset"]) == (1, 3, 1, 1)
    assert (await history(talk, offset=3))["items"] == []
    assert (await history(talk, limit=1000))["limit"] == 200
    for query in ("limit=0", "offset=-1", "limit=x", "limit=1000000000000"):
        assert (await talk.client.get(f"/api/delegation/history?{query}")).status_code == 400, query


async def test_a_cancelled_caller_ends_the_work(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    run_id = await talk.run(asking('/tool exec_shell {"command": "sleep 60"}'))
    active: dict[str, Any] = {}

    async def is_running() -> bool:
        listed = (await talk.client.get("/api/delegation/active")).json()
        active.update(listed[0] if listed else {})
        return active.get("status") == "running"

    await eventually(is_running, lambda: active)
    assert 0 <= active["latency_ms"] < 60_000
    assert (await talk.client.post(f"/api/runs/{run_id}/cancel")).status_code == 200
    await talk.until(run_id, "cancelled")
    ended: list[dict[str, Any]] = []

    async def is_over() -> bool:
        ended[:] = (await history(talk))["items"]
        return ended[0]["status"] == "failed"

    await eventually(is_over, lambda: ended)
    assert (await talk.client.get("/api/delegation/active")).json() == []
    runs = await shared_door.sql("select status from run where session_key = $1", active["task_id"])
    assert [run["status"] for run in runs] == ["cancelled"]


async def test_work_that_nobody_waits_for_any_more_is_settled(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    done, never = await hand_on(talk, "hello"), await hand_on(talk, "2+2", "calculate")
    for task, status in ((done, "running"), (never, "pending")):
        await shared_door.sql(
            "update delegation set status = $2, completed_at = null, started_at = now() - interval '2 min'"
            " where task_id = $1",
            *(task["task_id"], status),
        )
    expected = {done["task_id"]: "completed", never["task_id"]: "failed"}

    async def are_settled() -> bool:
        return {item["task_id"]: item["status"] for item in (await history(talk))["items"]} == expected

    await eventually(are_settled)


async def test_what_is_wrong_is_refused_and_accounts_are_apart(shared_door: Door) -> None:
    talk, other = await Talk.begin(shared_door), await Talk.begin(shared_door)
    refused: list[dict[str, Any]] = [
        {"complexity_threshold": -0.1},
        {"complexity_threshold": 1.1},
        {"priority": -1},
        {"priority": 1.5},
        {"pattern": ""},
        {"pattern": "re:(a"},
        {"pattern": r"re:(a)\1"},
        {"pattern": "x" * 257},
        {"target": ""},
        {"name": ""},
        {"name": "x" * 65},
        {"name": "/a"},
        {"enabled": "yes"},
        {"owner": "me"},
    ]
    for changes in refused:
        answer = await talk.client.patch("/api/delegation/rules", json=RULE | changes)
        assert answer.status_code == 400, changes
    assert (await talk.client.patch("/api/delegation/rules", json={"name": "new"})).status_code == 400
    answer = await talk.client.patch("/api/delegation/rules", json=RULE | {"target": "no such thing at all !!"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_delegation_rule")
    assert [problem["field"] for problem in answer.json()["error"]["details"]] == ["target"]
    await put(talk)
    await hand_on(talk, "2+2", "calculate")
    assert "low-complexity" not in await rules(other)
    assert (await other.client.delete("/api/delegation/rules/low-complexity")).status_code == 404
    assert (await history(other))["total"] == 0
    for method, path in (("GET", "/active"), ("GET", "/rules"), ("PATCH", "/rules"), ("GET", "/history")):
        assert (await shared_door.nobody.request(method, f"/api/delegation{path}")).status_code == 401
