"""Talking over sockets: what is said reaches the agent, and what happens there is heard live."""

import itertools
import json
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from provider_double import ProviderDouble, say
from runtime_door import Door
from runtime_sockets import Wire, wire
from runtime_talk import Talk

from shoal.identity import Role
from shoal.testing.suite import eventually, user

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"SHOAL_OUTGOING_ALLOWED": "127.0.0.0/8"}
LOOK = 'Look:\n/tool render_ui {"command":"render","id":"b1","element":{"type":"button","label":"Go","action":"go"}}'


@pytest_asyncio.fixture(loop_scope="module")
async def talk(shared_door: Door) -> Talk:
    return await Talk.begin(shared_door)


def opened(talk: Talk, path: str = "/ws") -> Any:
    return wire(talk.door.service, user(talk.account_id, f"user_{talk.account_id}", role=Role.ADMIN), path)


async def until(page: Wire, *kinds: str) -> list[dict[str, Any]]:
    """Hear everything until there was a frame of each kind."""
    heard = [await page.hear()]
    while not set(kinds) <= {frame["type"] for frame in heard}:
        heard.append(await page.hear())
    return heard


def only(heard: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [frame for frame in heard if frame["type"] == kind]


async def test_chat_socket_tells_what_was_said_and_streams_what_is(talk: Talk) -> None:
    await talk.say("Hello")
    async with opened(talk, f"/ws/chat/{talk.key}") as chat:
        assert (await chat.hear())["session_key"] == talk.key
        history = await chat.hear()
        assert [message["role"] for message in history["messages"]] == ["user", "assistant"]
        await chat.say({"type": "message", "content": "And now?", "id": "mine"})
        heard = await until(chat, "accepted", "stream_done")
        (accepted,), said = only(heard, "accepted"), only(heard, "chat:message")
        assert accepted["ref"] == {"id": "mine"}
        assert [frame["role"] for frame in said] == ["user", "assistant"]
        assert "".join(frame["content"] for frame in only(heard, "stream_chunk")) == said[1]["content"]
        assert {frame["run_id"] for frame in said} == {accepted["run_id"]}
        told = [frame for frame in heard if frame["type"] != "accepted"]
        assert told[-2:] == [said[1], *only(heard, "stream_done")]
        await chat.say({"type": "message", "content": "And now?", "id": "mine"})
        assert (await chat.hear("accepted"))["run_id"] == accepted["run_id"]
    session = (await talk.client.get(f"/api/sessions/{talk.key}")).json()
    assert session["message_count"] == 4


async def test_history_tells_a_message_just_as_it_was_told_live(talk: Talk) -> None:
    async with opened(talk, f"/ws/chat/{talk.key}") as chat:
        await chat.hear("history")
        await chat.say({"type": "message", "content": "/tool list_directory {}\n/tool nothing"})
        told = only(await until(chat, "stream_done"), "chat:message")
    async with opened(talk, f"/ws/chat/{talk.key}") as chat:
        history = (await chat.hear("history"))["messages"]
    assert len(told) == 2
    assert [call.get("is_error", False) for call in told[1]["tool_calls"]] == [False, True]
    assert history == [{name: frame["data"][name] for name in said} for frame, said in zip(told, history, strict=True)]


async def test_answer_is_committed_before_the_stream_is_done(talk: Talk) -> None:
    async with opened(talk) as page, opened(talk) as other:
        await page.subscribe(f"session:{talk.key}")
        await other.subscribe("chat:message", "pipeline:stage", "session:another")
        await page.say({"type": "message", "content": "Hello", "session_key": talk.key})
        await page.hear("stream_done")
        session = (await talk.client.get(f"/api/sessions/{talk.key}")).json()
        assert session["messages"][-1]["role"] == "assistant"
        heard = [await other.hear()]
        while heard[-1]["type"] != "chat:message" or heard[-1]["role"] != "assistant":
            heard.append(await other.hear())
        assert not [frame for frame in heard if frame["type"].startswith("stream")]
        stages = [
            frame["stage"] for frame in heard if frame["type"] == "pipeline:stage" and frame["status"] == "completed"
        ]
        assert stages[:4] == ["classifier", "router", "assembler", "transport"]


async def test_socket_that_comes_in_the_middle_of_an_answer_hears_all_of_it(talk: Talk) -> None:
    await talk.run("/slowly " + " ".join(f"word{number}" for number in range(20)))
    async with opened(talk) as first:
        await first.subscribe(f"session:{talk.key}")
        early = [await first.hear("stream_chunk") for _ in range(5)]
        async with opened(talk) as page, opened(talk, f"/ws/chat/{talk.key}") as chat:
            await page.subscribe(f"session:{talk.key}")
            whole = [early, *[await until(late, "stream_done") for late in (page, chat)]]
            early += await until(first, "stream_done")
    said = (await talk.client.get(f"/api/sessions/{talk.key}")).json()["messages"][-1]["content"]
    assert said.endswith("word19")
    for heard in whole:
        chunks = only(heard, "stream_chunk")
        assert "".join(chunk["content"] for chunk in chunks) == said
        for before, after in itertools.pairwise(chunks):
            assert after["offset"] == before["offset"] + len(before["content"])


async def test_socket_that_comes_while_what_was_said_is_slow_to_be_stored_hears_all_of_it(talk: Talk) -> None:
    run_id = await talk.run("/slowly " + " ".join(f"word{number}" for number in range(15)))
    async with opened(talk) as first, opened(talk) as late:
        await first.subscribe(f"session:{talk.key}")
        await first.hear("stream_chunk")
        async with talk.door.held("select from run where id = $1 for update", run_id):
            for _ in range(3):
                await first.hear("stream_chunk")
            await late.subscribe(f"session:{talk.key}")
            for _ in range(6):
                await first.hear("stream_chunk")
        chunks = only(await until(late, "stream_done"), "stream_chunk")
    said = (await talk.client.get(f"/api/sessions/{talk.key}")).json()["messages"][-1]["content"]
    assert "".join(chunk["content"] for chunk in chunks) == said


async def test_socket_that_comes_while_the_agent_pauses_hears_what_was_said_just_before(talk: Talk) -> None:
    async with ProviderDouble().serving() as double, opened(talk) as first:
        config = (await talk.client.get("/api/config")).json()
        config["providers"]["local"] = {"api_base": double.openai_base, "enabled": True, "api_key": "key"}
        (await talk.client.put("/api/config", json=config)).raise_for_status()
        changed = await talk.client.patch(f"/api/agents/{talk.agent_id}", json={"model": "local/double-1"})
        changed.raise_for_status()
        double.script(say("one ", "two", pause_s=0.3, hangs=True))
        await first.subscribe(f"session:{talk.key}")
        run_id = await talk.run("Hello")
        await first.hear("stream_chunk", within_s=20)  # the first model of a provider loads its library: seconds
        async with talk.door.held("select from run where id = $1 for update", run_id):
            await first.hear("stream_chunk")

        async def are_stored() -> bool:
            (said,) = await talk.door.sql(
                "select string_agg(data ->> 'content', '' order by seq) from run_event where run_id = $1", run_id
            )
            return said["string_agg"] == "one two"

        await eventually(are_stored)
        async with opened(talk) as late:
            await late.subscribe(f"session:{talk.key}")
            assert (await late.hear("stream_chunk"))["content"] == "one two"
        await talk.client.post(f"/api/runs/{run_id}/cancel")


async def test_message_of_a_socket_that_leaves_at_once_is_answered(talk: Talk) -> None:
    async with opened(talk, f"/ws/chat/{talk.key}") as chat:
        await chat.say({"type": "message", "content": "Good-bye"})

    async def is_answered() -> bool:
        return bool((await talk.client.get(f"/api/sessions/{talk.key}")).json()["message_count"] == 2)

    await eventually(is_answered)


async def test_running_answer_is_cancelled_from_the_socket(talk: Talk) -> None:
    async with opened(talk, f"/ws/chat/{talk.key}") as chat:
        accepted = await chat.ask({"type": "message", "content": "/slowly " + "word " * 300}, "accepted")
        await chat.hear("stream_chunk")
        refused = await chat.ask({"type": "message", "content": "And?", "policy": "reject", "id": "second"}, "error")
        assert (refused["code"], refused["ref"]) == ("session_busy", {"id": "second"})
        await chat.say({"type": "cancel"})
        awaited = {"cancelling", "stream_done"}
        while awaited:
            awaited.discard((await chat.hear())["type"])
        run = (await talk.client.get(f"/api/runs/{accepted['run_id']}")).json()
        assert run["status"] == "cancelled"


async def test_agent_draws_and_hears_what_people_do_with_it(talk: Talk) -> None:
    async with opened(talk) as page:
        await page.subscribe("canvas", f"session:{talk.key}")
        await page.say({"type": "message", "content": LOOK, "session_key": talk.key})
        drawn = await page.hear("canvas_command")
        assert (drawn["command"], drawn["id"], drawn["canvas_id"]) == ("render", "b1", talk.key)
        await page.hear("stream_done")
        used = {"type": "canvas_interaction", "interaction": "click", "element_id": "b1", "action": "go"}
        await page.say(used)
        heard = await until(page, "accepted", "stream_done")
        assert only(heard, "accepted")[0]["session_key"] == talk.key
        said = only(heard, "chat:message")[0]
        assert (said["role"], said["content"][:9]) == ("user", "[canvas] ")
        used.pop("type")
        assert json.loads(said["content"][9:]) == used


async def test_spoken_conversation_needs_no_session_and_tells_its_state(talk: Talk) -> None:
    async with opened(talk) as page:
        await page.subscribe("sessions:voice", "voice:status")
        assert (await talk.client.post("/api/sessions/voice/messages", json={"content": "Hello"})).status_code == 200
        heard = [await page.hear() for _ in range(2)]
        while heard[-1]["type"] != "voice:status" or heard[-1]["state"] != "speaking":
            heard.append(await page.hear())
        told = [frame for frame in heard if frame["topic"] == "sessions:voice"]
        assert [frame["data"]["role"] for frame in told] == ["user", "assistant"]
        states = [frame for frame in heard if frame["type"] == "voice:status"]
        assert [frame["state"] for frame in states] == ["processing", "speaking"]
        assert states[1]["response"] == told[1]["data"]["content"]


async def test_spoken_chat_is_open_before_anything_was_said(talk: Talk) -> None:
    async with opened(talk, "/ws/chat/voice") as chat:
        assert (await chat.hear())["session_key"] == "voice"
        assert (await chat.hear())["messages"] == []
        await chat.say({"type": "message", "content": "Hello"})
        heard = await until(chat, "stream_done")
        assert [frame["role"] for frame in heard if frame["type"] == "chat:message"] == ["user", "assistant"]


async def test_history_holds_what_one_frame_may(talk: Talk) -> None:
    await talk.say("Hello")
    large = "x" * 600_000
    longer = """
        update message
           set content = content || $1
         where role = 'user'
           and session_id in (select id from session where key = $2)
        """
    await talk.door.sql(longer, large, talk.key)
    async with opened(talk, f"/ws/chat/{talk.key}") as chat:
        await chat.hear("connected")
        assert [message["role"] for message in (await chat.hear("history"))["messages"]] == ["user", "assistant"]
        await talk.door.sql(longer, large, talk.key)
    async with opened(talk, f"/ws/chat/{talk.key}") as chat:
        await chat.hear("connected")
        assert [message["role"] for message in (await chat.hear("history"))["messages"]] == ["assistant"]


async def test_turn_is_counted_costed_and_timed(talk: Talk) -> None:
    await talk.say("Hello")
    usage = (await talk.client.get("/api/monitoring/token-usage")).json()
    assert usage["total_requests"] == 1
    assert usage["total_input"] > 0
    assert (usage["by_provider"][0]["provider"], usage["by_provider"][0]["model"]) == ("offline", "rules")
    assert usage["by_session"][0]["session_key"] == talk.key
    costs = (await talk.client.get("/api/monitoring/costs")).json()
    assert costs["total_cost_usd"] == 0
    assert [tier["request_count"] for tier in costs["by_tier"]] == [1]
    (run,) = (await talk.client.get("/api/monitoring/pipeline-runs")).json()
    assert (run["session_key"], run["model"], run["status"]) == (talk.key, "offline/rules", "success")
    assert [stage["stage"] for stage in run["stages"]] == [
        "classifier", "router", "assembler", "transport", "scorer", "learner",
    ]  # fmt: skip


async def test_message_over_the_budget_is_refused_clearly(talk: Talk) -> None:
    limit = {"scope": "session", "subject": talk.key, "limit_tokens": 10}
    assert (await talk.client.put("/api/monitoring/budgets", json=limit)).status_code == 200
    await talk.post("Hello")
    refused = await talk.post("Hello again")
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "token_budget_exhausted"
    assert "retry-after" not in refused.headers, "a budget in total never begins anew"
    await talk.client.put("/api/monitoring/budgets", json=limit | {"limit_tokens": 10**9, "limit_usd": 0})
    refused = await talk.post("Hello again")
    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "budget_exhausted")


async def test_an_accounts_first_budget_counts_at_once(talk: Talk) -> None:
    await talk.say("Hello")
    limit = {"scope": "session", "subject": talk.key, "limit_tokens": 1}
    (await talk.client.put("/api/monitoring/budgets", json=limit)).raise_for_status()
    refused = await talk.post("Hello again")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "token_budget_exhausted")


async def test_refusal_by_a_budget_says_when_all_that_refuse_begin_anew(talk: Talk) -> None:
    limit = {"scope": "session", "subject": talk.key, "limit_tokens": 1, "period": "day"}
    (await talk.client.put("/api/monitoring/budgets", json=limit)).raise_for_status()
    await talk.post("Hello")
    refused = await talk.post("Hello again")
    day_s = int(refused.headers["retry-after"])
    assert (refused.status_code, 0 < day_s <= 86_400) == (429, True)
    monthly = {"scope": "account", "limit_usd": 0, "period": "month"}
    put = await talk.client.put("/api/monitoring/budgets", json=monthly)
    until_s = (datetime.fromisoformat(put.json()["resets_at"]) - datetime.now(UTC)).total_seconds()
    refused = await talk.post("And again")
    assert refused.status_code in {402, 429}
    assert abs(int(refused.headers["retry-after"]) - until_s) < 60
