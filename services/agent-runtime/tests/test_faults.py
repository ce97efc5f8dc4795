"""What is left of turns when processes die, and how replicas share the work."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from runtime_door import Door
from runtime_processes import group, has_mapped
from runtime_talk import Talk, texts

from shoal.identity import HEADER, Role
from shoal.testing.suite import eventually, free_port, user
from shoal_events import RunInterrupted

pytestmark = pytest.mark.fault

AUTO = {"*": "auto"}
INTERRUPTED = {
    "code": "run_interrupted",
    "message": "The process that answered ended before the agent did; send the message again.",
}
SLOW = "/slowly " + "word " * 300


class Replica:
    """The service as a process of its own, to be killed."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)


@contextlib.asynccontextmanager
async def replica(door: Door, tmp_path: Path) -> AsyncIterator[Replica]:
    """Run a second replica beside the test's own."""
    port = free_port()
    environment = door.suite.environment() | {
        "PATH": os.environ["PATH"],
        "SHOAL_STATE": str(tmp_path),
        "AGENT_RUNTIME_PORT": str(port),
        "AGENT_RUNTIME_RUN_LEASE": "2s",
        "AGENT_RUNTIME_ALLOW_EXEC_SHELL": "true",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent_runtime", env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    made = Replica(process, port)
    try:
        await eventually(lambda: is_ready(made.url), within_s=20)
        yield made
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def is_ready(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            return (await client.get(f"{url}/readyz")).status_code == 200
        except httpx.HTTPError:
            return False


@contextlib.asynccontextmanager
async def through(talk: Talk, other: Replica) -> AsyncIterator[Talk]:
    """Talk in the same session through another replica."""
    principal = user(talk.account_id, f"user_{talk.account_id}", role=Role.ADMIN)
    headers = {HEADER.decode(): talk.door.service.token(principal)}
    async with httpx.AsyncClient(base_url=other.url, headers=headers, timeout=20, trust_env=False) as client:
        beside = Talk(talk.door, talk.account_id)
        beside.client, beside.agent_id, beside.key = client, talk.agent_id, talk.key
        yield beside


async def test_killed_process_leaves_its_runs_interrupted_and_sessions_whole(door: Door, tmp_path: Path) -> None:
    async with replica(door, tmp_path) as dying:
        turn = await Talk.begin(door)
        tool = await Talk.begin(door, tools=AUTO)
        async with through(turn, dying) as beside:
            in_turn = await beside.run(SLOW)
            waiting = await beside.run("Hello")
            async for event in beside.events(in_turn):
                if event["event"] == "text":
                    break
        async with through(tool, dying) as beside:
            command = "setsid sh -c 'echo $$ > away; exec sleep 60' & echo $$ > pid; sleep 60"
            in_tool = await beside.run("/tool exec_shell " + json.dumps({"command": command}))
        folder = tmp_path / "workspaces" / tool.account_id / tool.agent_id
        files = (folder / "pid", folder / "away")
        await eventually(lambda: all(file.exists() and file.read_text().strip() for file in files))

        dying.kill()

        run = await turn.until(in_turn, "interrupted", within_s=10)
        assert run["ended_at"]
        assert run["error"] == INTERRUPTED
        run = await tool.until(in_tool, "interrupted", within_s=10)
        assert [call["status"] for call in run["tool_calls"]] == ["unknown"]
        await eventually(lambda: not any(group(int(file.read_text())) for file in files))
        await turn.until(waiting, "completed")

    messages = await turn.messages()
    assert [(message["role"], message["incomplete"]) for message in messages] == [
        ("user", False), ("assistant", True), ("user", False), ("assistant", False),
    ]  # fmt: skip
    assert messages[1]["content"].startswith("offline/rules: word")
    assistant = (await tool.messages())[-1]
    assert (assistant["incomplete"], assistant["tool_calls"][0]["name"]) == (True, "exec_shell")
    assert "Hello" in (await tool.say("Hello"))["content"]
    facts = await door.suite.events(RunInterrupted, count=2)
    assert {fact.run_id for fact in facts} == {in_turn, in_tool}
    events = [event async for event in turn.events(in_turn) if "id" in event]
    assert [int(event["id"]) for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["event"] == "interrupted"
    assert events[-1]["data"]["error"] == INTERRUPTED
    assert texts(events) == messages[1]["content"]
    for talk in (turn, tool):
        await eventually(lambda talk=talk: all_tokens_are_told(talk), within_s=8)


async def test_what_a_killed_process_set_aside_is_given_back_with_its_run(door: Door, tmp_path: Path) -> None:
    async with replica(door, tmp_path) as dying:
        talk = await Talk.begin(door)
        limit = {"scope": "account", "period": "total", "limit_tokens": 100_000}
        assert (await talk.client.put("/api/monitoring/budgets", json=limit)).status_code == 200
        async with through(talk, dying) as beside:
            run_id = await beside.run(SLOW)
            async for event in beside.events(run_id):
                if event["event"] == "text":
                    break
        assert await reserved(talk) > 0
        dying.kill()
        await talk.until(run_id, "interrupted", within_s=10)
    assert await reserved(talk) == 0


async def reserved(talk: Talk) -> int:
    (budget,) = (await talk.client.get("/api/monitoring/budgets")).json()
    return int(budget["reserved_tokens"])


async def all_tokens_are_told(talk: Talk) -> bool:
    """Tell whether telemetry says as much as monitoring, each number once."""
    samples = await talk.samples()
    assert [sample.seq for sample in samples] == list(range(1, len(samples) + 1))
    return bool(samples) and samples[-1].metrics.tokens_total == await talk.tokens() > 0


async def test_replicas_follow_and_cancel_each_others_runs(door: Door, tmp_path: Path) -> None:
    async with replica(door, tmp_path) as other:
        talk = await Talk.begin(door)
        async with through(talk, other) as beside:
            run_id = await talk.run("/slowly one two three four five six seven eight nine ten")
            events = [event async for event in beside.events(run_id)]
            assert len([event for event in events if event["event"] == "token"]) >= 5
            assert texts(events).endswith("nine ten")

            run_id = await talk.run(SLOW)
            await talk.until(run_id, "running")
            cancelled = (await beside.client.post(f"/api/runs/{run_id}/cancel")).json()
            assert cancelled["status"] == "cancelled"

            first, second = await asyncio.gather(talk.say("through one"), beside.say("through the other"))
            assert (first["status"], second["status"]) == ("completed", "completed")
    roles = [message["role"] for message in await talk.messages()]
    assert roles == ["user", "assistant"] * (len(roles) // 2)


async def test_approval_survives_the_process(door: Door, tmp_path: Path) -> None:
    talk = await Talk.begin(door)
    async with replica(door, tmp_path) as dying:
        async with through(talk, dying) as beside:
            run_id = await beside.run('/tool write_file {"path": "a", "content": "x"}')
            await beside.until(run_id, "pending_approval")
        dying.kill()
        await dying.process.wait()
    assert (await talk.client.post(f"/api/runs/{run_id}/approve")).status_code == 200
    run = await talk.until(run_id, "completed")
    assert [call["status"] for call in run["tool_calls"]] == ["completed"]
    assert [message["role"] for message in await talk.messages()] == ["user", "assistant"]


async def test_stopping_service_ends_its_runs_and_gives_its_lease_up(door: Door, tmp_path: Path) -> None:
    talk = await Talk.begin(door)
    async with replica(door, tmp_path) as leaving:
        async with through(talk, leaving) as beside:
            run_id = await beside.run(SLOW)
            await beside.until(run_id, "running")
        leaving.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(leaving.process.wait(), 15)
        await talk.until(run_id, "interrupted", within_s=1.5)


async def test_broken_database_connections_lose_and_double_nothing(door: Door) -> None:
    talk = await Talk.begin(door)
    run_id = await talk.run("/slowly " + "word " * 20)
    for _ in range(3):
        await asyncio.sleep(0.3)
        await door.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'agent_runtime'")

    async def is_over() -> bool:
        answer = await talk.client.get(f"/api/runs/{run_id}")
        return answer.status_code == 200 and answer.json()["status"] in {"completed", "interrupted", "failed"}

    await eventually(is_over, within_s=15)
    run = await talk.show(run_id)
    messages = await talk.messages()
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert messages[1]["incomplete"] is (run["status"] != "completed")
    events = [event async for event in talk.events(run_id) if "id" in event]
    assert [int(event["id"]) for event in events] == list(range(1, len(events) + 1))
    assert messages[1]["content"] == texts(events)
    assert "Hello" in (await talk.say("Hello"))["content"]


async def test_call_that_nobody_decides_about_in_time_is_denied(open_door: Callable[..., Awaitable[Door]]) -> None:
    talk = await Talk.begin(await open_door(AGENT_RUNTIME_APPROVAL_TIMEOUT="300ms"))
    run_id = await talk.run('/tool write_file {"path": "a", "content": "x"}')
    run = await talk.until(run_id, "completed")
    assert [call["status"] for call in run["tool_calls"]] == ["denied"]
    readiness = (await talk.client.get("/readyz")).json()
    assert readiness["details"]["tool_count"] >= 8


async def test_run_that_takes_too_long_is_ended(open_door: Callable[..., Awaitable[Door]]) -> None:
    talk = await Talk.begin(await open_door(AGENT_RUNTIME_RUN_TIMEOUT="500ms"))
    answer = await talk.post(SLOW)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "run_too_long")
    assert (await talk.messages())[-1]["incomplete"] is True


async def test_what_providers_are_asked_by_is_loaded_once_there_is_one(door: Door, tmp_path: Path) -> None:
    async with replica(door, tmp_path) as other:
        assert not has_mapped(other.process.pid, "jiter")
        talk = await Talk.begin(door)
        config = (await talk.client.get("/api/config")).json()
        config["providers"] = {"openai": {"api_base": "https://api.openai.com/v1", "enabled": True, "api_key": "sk-1"}}
        assert (await talk.client.put("/api/config", json=config)).status_code == 200
        await eventually(lambda: has_mapped(other.process.pid, "jiter"), within_s=20)


def test_what_few_need_is_not_loaded_by_all() -> None:
    heavy = "pydantic_ai", "mcp", "openai", "anthropic"
    script = f"import sys, agent_runtime.service; print([name for name in {heavy} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
