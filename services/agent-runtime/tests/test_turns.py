"""Messages and their answers, by the model that needs no provider."""

import asyncio

import pytest
from runtime_door import Door
from runtime_talk import Talk, texts

from shoal.testing.suite import eventually
from shoal_events import RunCancelled, RunCompleted

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_agent_answers_and_session_holds_both(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)

    told = await talk.say("Hello")

    assert (told["role"], told["status"], told["tool_calls"]) == ("assistant", "completed", [])
    assert "offline/rules" in told["content"]
    assert "Hello" in told["content"]
    session = (await talk.client.get(f"/api/sessions/{talk.key}")).json()
    assert [message["role"] for message in session["messages"]] == ["user", "assistant"]
    assert session["messages"][1]["content"] == told["content"]
    assert session["message_count"] == 2
    completed = [fact for fact in await shared_door.suite.events(RunCompleted) if fact.run_id == told["run_id"]]
    assert completed[0].model == "offline/rules"


async def test_contract_shapes_of_sessions(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    await talk.say("Hello")

    (summary,) = (await talk.client.get("/api/sessions")).json()
    assert summary.keys() >= {"key", "agent_id", "message_count", "updated_at"}
    assert (summary["key"], summary["agent_id"], summary["message_count"]) == (talk.key, talk.agent_id, 2)
    exported = (await talk.client.get(f"/api/sessions/{talk.key}/export")).json()
    assert [message["role"] for message in exported["messages"]] == ["user", "assistant"]
    assert all(message.keys() >= {"role", "content", "timestamp", "tool_calls"} for message in exported["messages"])
    assert (await talk.client.delete(f"/api/sessions/{talk.key}")).json() == {"ok": True}
    assert (await talk.client.get(f"/api/sessions/{talk.key}")).status_code == 404


async def test_unknown_and_foreign_things_are_404(shared_door: Door) -> None:
    talk, other = await Talk.begin(shared_door), await Talk.begin(shared_door)
    run_id = await talk.run("Hello")
    for path in (f"/api/sessions/{talk.key}", f"/api/sessions/{talk.key}/export", f"/api/runs/{run_id}",
                 f"/api/runs/{run_id}/stream", "/api/sessions/none", "/api/agents/none"):  # fmt: skip
        assert (await other.client.get(path)).status_code == 404, path
    for path in (f"/api/sessions/{talk.key}/messages", "/api/sessions/none/messages", f"/api/sessions/{talk.key}/runs"):
        assert (await other.client.post(path, json={"content": "x"})).status_code == 404, path
    for path in (f"/api/runs/{run_id}/cancel", f"/api/runs/{run_id}/approve", "/api/agents/none/start"):
        assert (await other.client.post(path)).status_code == 404, path
    assert (await other.client.post("/api/sessions", json={"agent_id": "none"})).status_code == 404
    assert (await other.client.delete(f"/api/sessions/{talk.key}")).status_code == 404


async def test_refused_bodies_are_400(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    for body in ({}, {"content": ""}, {"content": 1}, {"content": "x", "policy": "drop"}):
        answer = await talk.client.post(f"/api/sessions/{talk.key}/messages", json=body)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["code"] == "validation_error"


async def test_voice_session_is_made_when_first_spoken_in(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    talk.key = "voice"
    assert "offline/rules" in (await talk.say("Hello"))["content"]
    assert len(await talk.messages()) == 2


async def test_respond_async_answers_with_the_run_at_once(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    answer = await talk.post("/slowly one two three", headers={"prefer": "Respond-Async, wait=5"})
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.headers["location"] == f"/api/runs/{answer.json()['id']}"
    run = await talk.until(answer.json()["id"], "completed")
    assert (await talk.messages())[-1]["run_id"] == run["id"]


async def test_same_idempotency_key_is_the_same_message(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    first, second = await asyncio.gather(
        talk.post("Hello", headers={"idempotency-key": "k1"}), talk.post("Hello", headers={"idempotency-key": "k1"})
    )
    assert first.json() == second.json()
    assert len(await talk.messages()) == 2
    other = await talk.post("Goodbye", headers={"idempotency-key": "k1"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_key_reused")


async def test_concurrent_messages_are_answered_one_after_the_other(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    await asyncio.gather(*(talk.say(f"message {number}") for number in range(8)))
    messages = await talk.messages()
    assert [message["role"] for message in messages] == ["user", "assistant"] * 8
    for asked, answered in zip(messages[::2], messages[1::2], strict=True):
        assert asked["run_id"] == answered["run_id"]
        assert asked["content"] in answered["content"]


async def test_busy_session_can_be_refused_or_interrupted(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    first = await talk.run("/slowly " + "word " * 100)
    second = await talk.run("never said")
    refused = await talk.post("Hello", policy="reject")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "session_busy")

    answer = await talk.say("Hello", policy="interrupt")

    assert "Hello" in answer["content"]
    assert (await talk.show(first))["status"] == "cancelled"
    assert (await talk.show(second))["status"] == "cancelled"
    contents = [message["content"] for message in await talk.messages()]
    assert "never said" not in contents
    assert contents[-2:] == ["Hello", answer["content"]]


async def test_cancel_keeps_what_was_said_until_then(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    run_id = await talk.run("/slowly " + "word " * 100)
    async for event in talk.events(run_id):
        if event["event"] == "token":
            break

    cancelled = (await talk.client.post(f"/api/runs/{run_id}/cancel")).json()

    assert cancelled["status"] == "cancelled"
    _user, assistant = await talk.messages()
    assert assistant["incomplete"] is True
    assert assistant["content"].startswith("offline/rules:")
    again = await talk.client.post(f"/api/runs/{run_id}/cancel")
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")
    facts = [fact for fact in await shared_door.suite.events(RunCancelled) if fact.run_id == run_id]
    assert len(facts) == 1


async def test_waiting_caller_is_told_that_the_run_was_cancelled(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    waiting = asyncio.create_task(talk.post("/slowly " + "word " * 100))

    async def runs() -> bool:
        return any(
            run["status"] == "running" for run in (await talk.client.get(f"/api/sessions/{talk.key}/runs")).json()
        )

    await eventually(runs)
    (run,) = (await talk.client.get(f"/api/sessions/{talk.key}/runs")).json()
    await talk.client.post(f"/api/runs/{run['id']}/cancel")
    answer = await waiting
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "run_cancelled")


async def test_stream_tells_every_event_once_and_tokens_live(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    run_id = await talk.run("/slowly one two three four five six")

    events = [event async for event in talk.events(run_id)]

    stored = [event for event in events if "id" in event]
    assert [int(event["id"]) for event in stored] == list(range(1, len(stored) + 1))
    assert [event["event"] for event in stored][:2] == ["queued", "started"]
    assert stored[-1]["event"] == "completed"
    assert all(event["data"]["run_id"] == run_id for event in events)
    assert all(event["data"]["seq"] == int(event["id"]) for event in stored)
    said = texts(events)
    assert said == stored[-1]["data"]["message"]["content"] == "offline/rules: one two three four five six"
    tokens = [event["data"] for event in events if event["event"] == "token"]
    assert len(tokens) >= 4
    assert all(said[token["offset"] :].startswith(token["content"]) for token in tokens)


async def test_stream_resumes_behind_the_last_event_id(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    run_id = await talk.run("/slowly one two three four five six")
    first = []
    async for event in talk.events(run_id):
        if "id" in event:
            first.append(event)
        if len(first) == 4:
            break
    rest = [event async for event in talk.events(run_id, after=4) if "id" in event]
    whole = [event async for event in talk.events(run_id) if "id" in event]
    assert first + rest == whole
    assert [event async for event in talk.events(run_id, after=len(whole))] == []


async def test_stopped_agent_refuses_messages_until_started(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    assert (await talk.client.post(f"/api/agents/{talk.agent_id}/stop")).json() == {"ok": True}
    refused = await talk.post("Hello")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "agent_stopped")
    assert (await talk.client.post(f"/api/agents/{talk.agent_id}/start")).json() == {"ok": True}
    assert "Hello" in (await talk.say("Hello"))["content"]


async def test_what_is_said_while_a_session_is_deleted_ends_with_it(shared_door: Door) -> None:
    for pause_s in (0.0, 0.01, 0.03):
        talk = await Talk.begin(shared_door)
        before = [asyncio.create_task(talk.post("/slowly " + "word " * 100)) for _ in range(3)]
        await asyncio.sleep(pause_s)
        deleting = asyncio.create_task(talk.client.delete(f"/api/sessions/{talk.key}"))
        meanwhile = [asyncio.create_task(talk.post("/slowly " + "word " * 100)) for _ in range(3)]
        answers = [
            (answer.status_code, answer.json()["error"]["code"]) for answer in await asyncio.gather(*before, *meanwhile)
        ]
        assert (await deleting).status_code == 200
        assert set(answers) <= {(404, "session_not_found"), (409, "run_cancelled")}
        assert await shared_door.sql("select id from run where session_key = $1", talk.key) == []


async def test_deleting_a_session_ends_what_runs_in_it(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    run_id = await talk.run("/slowly " + "word " * 100)
    await talk.until(run_id, "running")
    assert (await talk.client.delete(f"/api/sessions/{talk.key}")).status_code == 200
    assert (await talk.client.get(f"/api/runs/{run_id}")).status_code == 404
