"""What a run's worker writes, it writes once, though the line to the database is cut while it does."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from runtime_door import Door
from runtime_line import Line
from runtime_sockets import wire
from runtime_talk import Talk

from shoal.identity import Role
from shoal.testing.suite import eventually, free_port, user

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTO = {"*": "auto"}
END = "run.completed.v1"
MOMENTS = pytest.mark.parametrize("is_committed", [False, True], ids=["in the middle", "after the commit"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line(shared_door: Door) -> AsyncIterator[Line]:
    made = Line(shared_door.suite.environment()["AGENT_RUNTIME_DATABASE_URL"])
    yield made
    await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(shared_door: Door, line: Line) -> Door:
    return await by_line(shared_door, line)


async def by_line(shared_door: Door, line: Line, **settings: str) -> Door:
    """Start a replica that reaches the database by a line."""
    settings |= {"AGENT_RUNTIME_DATABASE_URL": await line.open(), "AGENT_RUNTIME_PORT": str(free_port())}
    service = await shared_door.suite.start("agent-runtime", SHOAL_STATE=str(shared_door.state), **settings)
    return Door(shared_door.suite, service, shared_door.state)


async def numbered(talk: Talk, run_id: str) -> list[str]:
    """List the stored events of a run, which have no gap."""
    events = [event async for event in talk.events(run_id) if "id" in event]
    assert [int(event["id"]) for event in events] == list(range(1, len(events) + 1))
    return [event["event"] for event in events]


async def entered(talk: Talk, run_id: str) -> int:
    """Count how often a run's calls of models were entered, and that tokens were counted alike."""
    (usage,) = await talk.door.sql(
        "select count(*), sum(input_tokens + output_tokens) as tokens from usage_entry where run_id = $1", run_id
    )
    (tally,) = await talk.door.sql(
        "select messages_total, errors_total, tokens_total from tally where account_id = $1", talk.account_id
    )
    assert tuple(tally) == (1, 0, usage["tokens"])
    return int(usage["count"])


@MOMENTS
async def test_answer_is_kept_once_when_its_end_is_cut(door: Door, line: Line, *, is_committed: bool) -> None:
    talk = await Talk.begin(door)
    limit = {"scope": "account", "limit_tokens": 10**6}
    (await talk.client.put("/api/monitoring/budgets", json=limit)).raise_for_status()
    line.cut(END, is_committed=is_committed)

    told = await talk.say("Hello")

    assert line.is_cut
    run_id = told["run_id"]
    assert (told["status"], (await talk.show(run_id))["status"]) == ("completed", "completed")
    messages = await talk.messages()
    assert [(message["role"], message["incomplete"]) for message in messages] == [("user", False), ("assistant", False)]
    assert messages[1]["content"] == told["content"]
    kinds = await numbered(talk, run_id)
    assert kinds[-2:] == ["usage", "completed"]
    assert Counter(kinds) == Counter({*kinds}) + Counter({"text": kinds.count("text") - 1})
    assert await entered(talk, run_id) == 1
    assert (
        await door.sql("select from budget_hold join budget on id = budget_id where account_id = $1", talk.account_id)
        == []
    )
    facts = await door.sql("select type from outbox where entity_id = $1 order by id", run_id)
    assert [fact["type"] for fact in facts] == ["run.started.v1", END]


@MOMENTS
async def test_followers_and_browsers_are_told_of_an_end_that_was_cut(
    door: Door, line: Line, *, is_committed: bool
) -> None:
    talk = await Talk.begin(door)
    who = user(talk.account_id, f"user_{talk.account_id}", role=Role.ADMIN)
    async with wire(door.service, who, f"/ws/chat/{talk.key}") as chat:
        run_id = await talk.run("/slowly one two three")
        line.cut(END, is_committed=is_committed)
        events = [event async for event in talk.events(run_id)]
        said = await chat.hear("chat:message")
        said = said if said["role"] == "assistant" else await chat.hear("chat:message")
        await chat.hear("stream_done")
        assert "chat:message" not in {frame["type"] for frame in await chat.heard_until_pong()}
    assert line.is_cut
    stored = [event for event in events if "id" in event]
    assert [int(event["id"]) for event in stored] == list(range(1, len(stored) + 1))
    assert stored[-1]["event"] == "completed"
    assert stored[-1]["data"]["message"]["id"] == said["data"]["id"] == (await talk.messages())[-1]["id"]


async def test_answer_is_kept_while_the_database_is_away_for_a_moment(door: Door, line: Line) -> None:
    talk = await Talk.begin(door)
    line.cut(END, is_committed=False, mended_after_s=2.5)
    told = await talk.say("Hello")
    assert line.is_cut
    assert [message["content"] for message in await talk.messages()][1:] == [told["content"]]
    assert await entered(talk, told["run_id"]) == 1


@MOMENTS
@pytest.mark.parametrize("said", ["tool_call_id", "tool_result"], ids=["step", "result"])
async def test_tools_are_called_once_when_what_is_noted_of_them_is_cut(
    door: Door, line: Line, said: str, *, is_committed: bool
) -> None:
    talk = await Talk.begin(door, tools=AUTO)
    line.cut(said, is_committed=is_committed)

    told = await talk.say('/tool memory_write {"key": "k", "value": "v"}')

    assert line.is_cut
    assert [call["name"] for call in told["tool_calls"]] == ["memory_write"]
    kinds = await numbered(talk, told["run_id"])
    assert [kind for kind in kinds if kind != "text"] == [
        "queued", "started", "tool_call", "tool_result", "usage", "completed",
    ]  # fmt: skip
    assert await entered(talk, told["run_id"]) == 2


@MOMENTS
async def test_people_are_asked_once_when_the_asking_is_cut(door: Door, line: Line, *, is_committed: bool) -> None:
    talk = await Talk.begin(door)
    line.cut("approval_requested", is_committed=is_committed)
    run_id = await talk.run('/tool write_file {"path": "a", "content": "x"}')
    await talk.until(run_id, "pending_approval")
    assert line.is_cut
    assert (await talk.client.post(f"/api/runs/{run_id}/approve")).status_code == 200
    run: dict[str, Any] = await talk.until(run_id, "completed")
    assert [call["status"] for call in run["tool_calls"]] == ["completed"]
    assert (await numbered(talk, run_id)).count("approval_requested") == 1


async def test_answer_that_is_there_outlives_a_cancel_while_its_end_is_tried_again(
    door: Door, shared_door: Door, line: Line
) -> None:
    talk = await Talk.begin(door)
    line.cut(END, is_committed=False, mended_after_s=1.0)
    run_id = await talk.run("Hello")
    await eventually(lambda: line.is_cut)
    beside = Talk(shared_door, talk.account_id)
    assert (await beside.client.post(f"/api/runs/{run_id}/cancel")).json()["status"] == "completed"
    beside.key = talk.key
    assert [message["incomplete"] for message in await beside.messages()] == [False, False]
    assert (await numbered(beside, run_id))[-2:] == ["usage", "completed"]


async def test_nothing_stays_set_aside_for_a_call_that_was_not_made(door: Door, line: Line) -> None:
    talk = await Talk.begin(door)
    limit = {"scope": "account", "limit_tokens": 10**6}
    (await talk.client.put("/api/monitoring/budgets", json=limit)).raise_for_status()
    line.cut("insert into budget_hold", is_committed=True)
    answer = await talk.post("Hello")
    assert line.is_cut
    assert answer.json()["error"]["code"] == "run_failed"
    held = "select from budget_hold join budget on id = budget_id where account_id = $1"
    assert await door.sql(held, talk.account_id) == []


@pytest.mark.parametrize("tools", [AUTO, {"*": "ask"}], ids=["called", "asked about"])
async def test_what_an_answer_took_is_counted_though_its_run_is_cancelled(
    shared_door: Door, tools: dict[str, str]
) -> None:
    talk = await Talk.begin(shared_door, tools=tools)
    limit = {"scope": "account", "limit_tokens": 10**6}
    (await talk.client.put("/api/monitoring/budgets", json=limit)).raise_for_status()

    async def is_being_noted() -> bool:
        return bool(await shared_door.sql("select from pg_locks where relation = 'run_step'::regclass and not granted"))

    async def is_unwanted() -> bool:
        return bool(await shared_door.sql("select from run where id = $1 and cancel_requested_at is not null", run_id))

    async with shared_door.held("lock table run_step in share mode"):
        run_id = await talk.run('/tool write_file {"path": "a", "content": "x"}')
        await eventually(is_being_noted)
        cancelling = asyncio.create_task(talk.client.post(f"/api/runs/{run_id}/cancel"))
        await eventually(is_unwanted)
    assert (await cancelling).json()["status"] == "cancelled"
    assert await talk.tokens() > 0
    held = "select from budget_hold join budget on id = budget_id where account_id = $1"
    assert await shared_door.sql(held, talk.account_id) == []


@pytest.mark.fault
async def test_answer_of_a_process_that_was_taken_for_dead_is_not_stored(shared_door: Door) -> None:
    line = Line(shared_door.suite.environment()["AGENT_RUNTIME_DATABASE_URL"])
    dying = await by_line(shared_door, line, AGENT_RUNTIME_RUN_LEASE="1s")
    talk = await Talk.begin(dying)
    beside = Talk(shared_door, talk.account_id)
    beside.key = talk.key
    line.cut(END, is_committed=False, mended_after_s=4)
    run_id = await talk.run("/slowly one two three four")
    await beside.until(run_id, "interrupted", within_s=8)

    async def is_back() -> bool:
        return (await talk.post("And now?")).status_code == 200

    await eventually(is_back, within_s=15)
    assert (await beside.show(run_id))["status"] == "interrupted"
    told = [message for message in await beside.messages() if message["run_id"] == run_id]
    assert [(message["role"], message["incomplete"]) for message in told] == [("user", False), ("assistant", True)]
    assert (await numbered(beside, run_id))[-1] == "interrupted"
    await line.close()
