"""Agents: who there is, and what is told of what they do."""

from uuid import uuid4

import pytest
from runtime_door import ADMIN, ALICE, Door
from runtime_talk import Talk

from shoal.identity import Issuer
from shoal.testing.suite import eventually
from shoal_events import (
    AccountCreated,
    RuntimeAgentCreated,
    RuntimeAgentDeleted,
    RuntimeAgentUpdated,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_account_has_one_agent_that_needs_no_provider_from_the_first_moment(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    told = AccountCreated(account_id=talk.account_id, name="again", version=2)
    await shared_door.suite.publish(told, event_id=str(uuid4()))
    (agent,) = (await talk.client.get("/api/agents")).json()
    assert agent == {
        "id": "agent_general",
        "name": "general-agent",
        "status": "running",
        "model": "offline/rules",
        "created_at": agent["created_at"],
    }
    facts = await shared_door.suite.events(RuntimeAgentCreated)
    assert [fact.agent_id for fact in facts if fact.account_id == talk.account_id] == ["agent_general"]


async def test_agents_are_made_changed_stopped_and_removed(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    body = {"name": "Ada", "description": "Counts.", "instructions": "Count.", "skills": ["sums"], "config": {"a": 1}}
    created = await talk.client.post("/api/agents", json=body)
    assert created.status_code == 201
    agent_id = created.json()["id"]
    path = f"/api/agents/{agent_id}"
    shown = (await talk.client.get(path)).json()
    assert shown == created.json()
    assert (shown["session_count"], shown["skills"], shown["config"]) == (0, ["sums"], {"a": 1})
    changed = await talk.client.patch(path, json={"name": "Bob", "tools": {"exec_shell": "deny"}})
    assert (changed.json()["name"], changed.json()["description"]) == ("Bob", "Counts.")
    assert (await talk.client.post(f"{path}/stop")).json() == {"ok": True}
    assert (await talk.client.post(f"{path}/stop")).json() == {"ok": True}
    assert (await talk.client.get(path)).json()["status"] == "stopped"
    begun = await talk.client.post("/api/sessions", json={"agent_id": agent_id, "key": "kept:1"})
    assert begun.json()["key"] == "kept:1"
    assert (await talk.client.get(path)).json()["session_count"] == 1
    assert (await talk.client.delete(path)).json() == {"ok": True}
    assert (await talk.client.get(path)).status_code == 404
    assert (await talk.client.get("/api/sessions/kept:1")).status_code == 200
    refused = await talk.client.post("/api/sessions/kept:1/messages", json={"content": "x"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "agent_not_found")
    suite = shared_door.suite
    updated = [fact for fact in await suite.events(RuntimeAgentUpdated) if fact.agent_id == agent_id]
    assert [(fact.name, fact.status, fact.version) for fact in updated] == [
        ("Bob", "running", 2),
        ("Bob", "stopped", 3),
    ]
    deleted = [fact for fact in await suite.events(RuntimeAgentDeleted) if fact.agent_id == agent_id]
    assert [fact.version for fact in deleted] == [4]


async def test_agents_that_could_not_be_are_refused_and_an_id_is_taken_once(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    for body in (
        {},
        {"name": ""},
        {"name": "x", "id": "a b"},
        {"name": "x", "model": "a b"},
        {"name": "x", "tools": {"a": "maybe"}},
        {"name": "x", "skills": "sums"},
        {"name": "x", "owner": "me"},
    ):
        answer = await talk.client.post("/api/agents", json=body)
        assert answer.status_code == 400, answer.text
    claimed = await talk.client.post("/api/agents", json={"name": "x", "id": "agent_general"})
    assert (claimed.status_code, claimed.json()["error"]["code"]) == (409, "agent_exists")


async def test_config_that_would_be_ignored_is_refused(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    wrong = {"fallback_models": "x", "max_tokens": "many", "temperature": 3, "recall": -1, "own": [1]}
    for answer in (
        await talk.client.patch("/api/agents/agent_general", json={"config": wrong}),
        await talk.client.post("/api/agents", json={"name": "x", "config": wrong}),
    ):
        told = answer.json()["error"]
        assert (answer.status_code, told["code"]) == (400, "validation_error")
        assert [problem["field"] for problem in told["details"]] == [
            "config.fallback_models", "config.max_tokens", "config.recall", "config.temperature",
        ]  # fmt: skip
    assert (await talk.client.get("/api/agents/agent_general")).json()["config"] == {}
    right = {"fallback_models": ["offline/rules"], "max_tokens": 9, "temperature": 1, "recall": None, "own": [1]}
    kept = await talk.client.patch("/api/agents/agent_general", json={"config": right})
    assert (kept.status_code, kept.json()["config"]) == (200, right)


async def test_policy_for_what_is_no_tool_is_refused(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    held = {"write_file": "deny", "exec_shell": "deny", "server__later": "ask", "*": "auto"}
    assert (await talk.client.post("/api/agents", json={"id": "held", "name": "A", "tools": held})).status_code == 201
    misspelt = {"tools": {"writ_file": "deny"}}
    answers = [
        await talk.client.post("/api/agents", json={"name": "A"} | misspelt),
        await talk.client.patch("/api/agents/held", json=misspelt),
    ]
    for answer in answers:
        assert answer.status_code == 400
        assert "there is no tool 'writ_file'" in answer.json()["detail"]
        assert answer.json()["error"]["details"][0]["field"] == "tools"
    assert (await talk.client.get("/api/agents/held")).json()["tools"] == held


async def test_only_admins_make_and_change_agents(shared_door: Door) -> None:
    await shared_door.meet(ALICE.account_id)
    alice = shared_door.service.client(ALICE)
    assert (await alice.get("/api/agents")).status_code == 200
    assert (await alice.post("/api/agents", json={"name": "x"})).status_code == 403
    assert (await alice.patch("/api/agents/agent_general", json={"name": "x"})).status_code == 403
    assert (await alice.delete("/api/agents/agent_general")).status_code == 403
    assert (await shared_door.nobody.get("/api/agents")).status_code == 401


async def test_export_tells_every_agent_to_whom_it_is_meant_for(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    suite = shared_door.suite
    client = shared_door.service.client()
    issuer = Issuer("metrics-query", suite.installation.services["metrics-query"].private_key)
    client.headers["x-shoal-identity"] = issuer.issue_own(audience="agent-runtime")
    seen: list[tuple[str, str]] = []
    after = ""
    while after is not None:
        page = (await client.get("/internal/export", params={"after": after, "limit": 2})).json()
        seen += [(item["fact"]["account_id"], item["fact"]["agent_id"]) for item in page["items"]]
        after = page["next"]
    assert (talk.account_id, "agent_general") in seen
    assert len(set(seen)) == len(seen)
    assert (await shared_door.service.client(ADMIN).get("/internal/export")).status_code == 401


async def test_what_agents_do_is_told_as_telemetry_once(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    await talk.say("one")
    await talk.say("two")

    async def all_told() -> bool:
        samples = await talk.samples()
        return bool(samples) and samples[-1].metrics.messages_total == 2

    await eventually(all_told, within_s=8)
    samples = await talk.samples()
    assert [sample.seq for sample in samples] == list(range(1, len(samples) + 1))
    assert sum(len(sample.metrics.response_ms) for sample in samples) == 2
    assert samples[-1].metrics.tokens_total == await talk.tokens() > 0
