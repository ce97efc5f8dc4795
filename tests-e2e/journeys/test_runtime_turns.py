"""Talking with an agent of the runtime, through the gateway: tokens, approval, cancelling, and what is told of it."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest_asyncio
from stack import Account, Stack

from shoal.testing.suite import eventually


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owner(stack: Stack) -> Account:
    """An account with its first agent."""
    account = await stack.open_account(f"turns-{uuid4().hex[:8]}")

    async def has_an_agent() -> bool:
        return bool(await account.get("/api/agents"))

    await eventually(has_an_agent, within_s=10)
    return account


async def begin(owner: Account) -> str:
    return str((await owner.client.post("/api/sessions", json={"agent_id": "agent_general"})).json()["key"])


async def run(owner: Account, key: str, content: str) -> str:
    answer = await owner.client.post(f"/api/sessions/{key}/runs", json={"content": content})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def events(owner: Account, run_id: str, *, after: int = 0) -> AsyncIterator[dict[str, Any]]:
    """Follow a run; yields what its events hold."""
    async with owner.client.stream("GET", f"/api/runs/{run_id}/stream", headers={"last-event-id": str(after)}) as told:
        async for line in told.aiter_lines():
            if line.startswith("data: "):
                yield json.loads(line[6:])


async def test_tokens_come_live_and_what_was_missed_comes_again(owner: Account) -> None:
    run_id = await run(owner, await begin(owner), "/slowly one two three four five six seven eight")
    first = []
    async for event in events(owner, run_id):
        first.append(event)
        if event["type"] == "text":
            break
    assert any(event["type"] == "token" for event in first)
    rest = [event async for event in events(owner, run_id, after=first[-1]["seq"])]
    stored = [event for event in first + rest if "seq" in event]
    assert [event["seq"] for event in stored] == list(range(1, len(stored) + 1))
    said = "".join(event["content"] for event in stored if event["type"] == "text")
    assert said == "offline/rules: one two three four five six seven eight"


async def test_a_tool_is_used_after_approval(owner: Account) -> None:
    key = await begin(owner)
    asked = await owner.client.post(
        f"/api/sessions/{key}/messages", json={"content": '/tool write_file {"path": "a.txt", "content": "hello"}'}
    )
    assert (asked.status_code, asked.json()["status"]) == (202, "pending_approval")
    run_id = asked.json()["run_id"]
    assert run_id in {approval["run_id"] for approval in await owner.get("/api/approvals")}
    assert (await owner.client.post(f"/api/runs/{run_id}/approve")).status_code == 200

    async def is_completed() -> bool:
        return bool((await owner.get(f"/api/runs/{run_id}"))["status"] == "completed")

    await eventually(is_completed)
    told = await owner.client.post(
        f"/api/sessions/{key}/messages", json={"content": '/tool read_file {"path": "a.txt"}'}
    )
    assert told.json()["tool_calls"][0]["result"] == "hello"


async def test_a_run_is_cancelled_in_the_middle(owner: Account) -> None:
    key = await begin(owner)
    run_id = await run(owner, key, "/slowly " + "word " * 300)
    async for event in events(owner, run_id):
        if event["type"] == "token":
            break
    assert (await owner.client.post(f"/api/runs/{run_id}/cancel")).json()["status"] == "cancelled"
    session = await owner.get(f"/api/sessions/{key}")
    assert [(message["role"], message["incomplete"]) for message in session["messages"]] == [
        ("user", False),
        ("assistant", True),
    ]


async def test_what_an_agent_did_is_where_agents_are_watched(owner: Account) -> None:
    key = await begin(owner)
    assert (await owner.client.post(f"/api/sessions/{key}/messages", json={"content": "Hello"})).status_code == 200

    async def is_counted() -> bool:
        answer = await owner.client.get("/telemetry/metrics/agent_general", params={"period": "1h"})
        told = answer.json()["summary"] if answer.status_code == 200 else {"total_messages": 0}
        return told["total_messages"] > 0 and told["total_tokens"] == usage["total_input"] + usage["total_output"]

    usage = await owner.get("/api/monitoring/token-usage")
    await eventually(is_counted, within_s=20)
    assert key in {session["session_key"] for session in usage["by_session"]}
    runs = await owner.get("/api/monitoring/pipeline-runs")
    assert len(runs[0]["stages"]) == 6
