"""What agents of the runtime know and do by themselves, through the gateway: memory, skills, the clock, delegation."""

import json
from typing import Any
from uuid import uuid4

import pytest_asyncio
from stack import Account, Stack

from shoal.testing.suite import eventually


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owner(stack: Stack) -> Account:
    """An account with its first agent."""
    account = await stack.open_account(f"runtime-{uuid4().hex[:8]}")

    async def has_an_agent() -> bool:
        return bool(await account.get("/api/agents"))

    await eventually(has_an_agent, within_s=10)
    return account


async def say(owner: Account, content: str) -> dict[str, Any]:
    begun = await owner.client.post("/api/sessions", json={})
    answer = await owner.client.post(f"/api/sessions/{begun.json()['key']}/messages", json={"content": content})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_an_agent_remembers_and_people_find_it(owner: Account) -> None:
    entry = {"key": "patterns/auth", "value": "JWT with refresh tokens", "namespace": "patterns", "tags": ["jwt"]}
    await say(owner, f"/tool memory_write {json.dumps(entry)}")
    [found] = await owner.get("/api/memory/search", q="auth", threshold="0.8")
    assert {name: found[name] for name in entry} == entry
    assert 0.8 <= found["similarity"] <= 1
    told = await say(owner, '/tool memory_read {"query": "refreshing tokens"}')
    assert "JWT with refresh tokens" in told["tool_calls"][0]["result"]
    assert await owner.get("/api/memory/search", q="weather", threshold="0.3") == []
    assert (await owner.client.delete("/api/memory/patterns%2Fauth")).json() == {"success": True}
    assert await owner.get("/api/memory") == []


async def test_a_skill_is_found_installed_and_switched(owner: Account) -> None:
    [first, *_] = await owner.get("/api/skills/registry/search", q="deploy")
    assert (await owner.client.post("/api/skills/install", json={"id": first["id"]})).json() == {"success": True}
    switched = await owner.client.patch(f"/api/skills/{first['name']}", json={"enabled": False})
    assert switched.json()["enabled"] is False
    listed = {skill["name"]: skill["enabled"] for skill in await owner.get("/api/skills")}
    assert listed[first["name"]] is False
    assert (await owner.client.delete(f"/api/skills/{first['name']}")).json() == {"success": True}


async def test_a_cron_job_fires_and_its_agent_answers(owner: Account) -> None:
    body = {"name": "my-job", "schedule": "0 * * * *", "enabled": True, "payload": "Good morning"}
    job = (await owner.client.post("/api/cron", json=body)).json()
    assert job["next_run"]
    assert (await owner.client.post(f"/api/cron/{job['id']}/run")).json()["success"] is True

    async def has_run() -> bool:
        [shown] = await owner.get("/api/cron")
        return shown["status"] == "idle" and "last_run" in shown

    await eventually(has_run, within_s=15)
    session = await owner.get(f"/api/sessions/{job['session_key']}")
    assert [message["role"] for message in session["messages"]] == ["user", "assistant"]
    assert (await owner.client.delete(f"/api/cron/{job['id']}")).json() == {"success": True}


async def test_work_is_handed_on_by_rule(owner: Account) -> None:
    rule = {
        "name": "sums",
        "pattern": "sum-*|calculate",
        "target": "agent-booster",
        "complexity_threshold": 0.5,
        "enabled": True,
        "priority": 0,
    }
    assert (await owner.client.patch("/api/delegation/rules", json=rule)).json() == rule
    told = await say(owner, '/tool delegate_task {"tool_name": "calculate", "task": "6 * 7"}')
    assert told["tool_calls"][0]["result"] == "42"
    page = await owner.get("/api/delegation/history", target="booster")
    assert (page["total"], page["items"][0]["rule"], page["items"][0]["status"]) == (1, "sums", "completed")
    assert (await owner.client.delete("/api/delegation/rules/sums")).json()["success"] is True
