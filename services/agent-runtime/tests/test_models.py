"""Models of providers: both wire formats, and what may go wrong on the way."""

import asyncio
import time

import pytest
from provider_double import ProviderDouble, Step, call, fail, say
from runtime_door import Door
from runtime_models import FORMATS, KEY, begin, double, model_door
from runtime_talk import Talk, texts

from shoal.testing.suite import eventually

__all__ = ["double", "model_door"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@FORMATS
async def test_answer_is_streamed_and_counted(model_door: Door, double: ProviderDouble, provider: str) -> None:
    talk = await begin(model_door, double, provider, instructions="Be brief.")
    double.script(say("Hel", "lo ", "there", pause_s=0.05))
    run_id = await talk.run("Hi")
    events = [event async for event in talk.events(run_id)]
    assert texts(events) == "Hello there"
    assert len([event for event in events if event["event"] == "token"]) >= 2
    usage = next(event["data"] for event in events if event["event"] == "usage")
    assert (usage["input_tokens"], usage["output_tokens"]) == (11, 7)
    run = await talk.show(run_id)
    assert (run["status"], run["model"]) == ("completed", f"{provider}/double-1")
    body = double.asked[0]["body"]
    assert "Be brief." in str(body)
    assert {tool.get("name") or tool["function"]["name"] for tool in body["tools"]} >= {"read_file", "memory_write"}


@FORMATS
async def test_history_is_told_once_and_in_order(model_door: Door, double: ProviderDouble, provider: str) -> None:
    talk = await begin(model_door, double, provider)
    double.script(say("one"), call("list_directory", path="."), say("two"), say("three"))
    await talk.say("first")
    told = await talk.say("second")
    assert [item["name"] for item in told["tool_calls"]] == ["list_directory"]
    await talk.say("third")
    told = str(double.asked[-1]["body"]["messages"])
    for word in ("first", "one", "second", "two", "third"):
        assert told.count(f"'{word}'") == 1, told
    assert "list_directory" in told
    assert len(await talk.messages()) == 6


@FORMATS
async def test_what_nobody_answered_is_told_with_what_was_said_next(
    model_door: Door, double: ProviderDouble, provider: str
) -> None:
    talk = await begin(model_door, double, provider)
    double.script(say("one"), fail(400), fail(400), say("two"))
    assert (await talk.say("first"))["content"] == "one"
    for words in ("second", "third"):
        assert (await talk.post(words)).status_code == 502
    assert (await talk.say("fourth"))["content"] == "two"
    told = double.asked[-1]["body"]["messages"]
    assert [message["role"] for message in told if message["role"] != "system"] == ["user", "assistant", "user"]
    assert "second\\n\\nthird\\n\\nfourth" in str(told[-1])
    assert len(await talk.messages()) == 6


@FORMATS
async def test_connections_are_used_again(model_door: Door, double: ProviderDouble, provider: str) -> None:
    talk = await begin(model_door, double, provider)
    double.script(say("Hel", "lo"), say("Hello ", "again"))
    assert (await talk.say("Hi"))["content"] == "Hello"
    connections = double.connections
    assert (await talk.say("Hi again"))["content"] == "Hello again"
    assert double.connections == connections


@FORMATS
async def test_refusals_that_pass_are_tried_again(model_door: Door, double: ProviderDouble, provider: str) -> None:
    talk = await begin(model_door, double, provider)
    double.script(fail(429, retry_after="0.1"), fail(500, retry_after="0.1"), say("at last"))
    assert (await talk.say("Hi"))["content"] == "at last"
    assert len(double.asked) == 3


@FORMATS
async def test_refusals_for_good_are_told_at_once(model_door: Door, double: ProviderDouble, provider: str) -> None:
    talk = await begin(model_door, double, provider)
    double.script(fail(401))
    answer = await talk.post("Hi")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "model_refused")
    told = f"The provider '{provider}' answered 401: scripted 401 (admins set its key by PUT /api/config)"
    assert answer.json()["detail"] == told
    assert KEY not in answer.text
    assert len(double.asked) == 1


@FORMATS
async def test_silent_model_is_given_up(model_door: Door, double: ProviderDouble, provider: str) -> None:
    talk = await begin(model_door, double, provider)
    double.script(Step(pieces=("half an ",), hangs=True))
    answer = await talk.post("Hi")
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "model_silent")
    await eventually(lambda: double.open_streams == 0)
    _user, assistant = await talk.messages()
    assert (assistant["content"], assistant["incomplete"]) == ("half an ", True)


@FORMATS
@pytest.mark.parametrize("fault", [{"is_cut": True}, {"is_garbled": True}])
async def test_broken_answer_keeps_what_was_said(
    model_door: Door, double: ProviderDouble, provider: str, fault: dict[str, bool]
) -> None:
    talk = await begin(model_door, double, provider)
    double.script(Step(pieces=("half an ",), pause_s=0.02, **fault))
    answer = await talk.post("Hi")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "model_broke_off")
    assert (await talk.messages())[-1]["content"] == "half an "
    double.script(say("whole"))
    assert (await talk.say("Again?"))["content"] == "whole"


async def test_dripping_model_is_waited_for(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "openai")
    double.script(say(*"slowly", pause_s=0.25))
    assert (await talk.say("Hi"))["content"] == "slowly"


@FORMATS
async def test_cancel_closes_the_stream_of_the_provider(
    model_door: Door, double: ProviderDouble, provider: str
) -> None:
    talk = await begin(model_door, double, provider)
    double.script(say(*["word "] * 200, pause_s=0.05))
    run_id = await talk.run("Hi")
    async for event in talk.events(run_id):
        if event["event"] == "token":
            break
    await eventually(lambda: double.open_streams == 1)
    await talk.client.post(f"/api/runs/{run_id}/cancel")
    await eventually(lambda: double.open_streams == 0)
    assert (await talk.show(run_id))["status"] == "cancelled"


async def test_stand_in_answers_where_the_first_model_cannot(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "openai", config={"fallback_models": ["anthropic/double-2"]})
    double.script(fail(403), say("from the other"))
    assert (await talk.say("Hi"))["content"] == "from the other"
    assert [asked["path"].split("?")[0] for asked in double.asked] == ["/v1/chat/completions", "/v1/messages"]
    (run,) = (await talk.client.get(f"/api/sessions/{talk.key}/runs")).json()
    assert run["model"] == "anthropic/double-2"


async def test_model_without_provider_is_refused(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "nobody")
    answer = await talk.post("Hi")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "model_unknown")


async def test_provider_that_needs_a_key_is_not_called_without_one(model_door: Door, double: ProviderDouble) -> None:
    talk = await Talk.begin(model_door, model="claude-x")
    began = time.monotonic()
    answer = await talk.post("Hi")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "key_missing")
    assert "'anthropic' has no key" in answer.json()["detail"]
    config = (await talk.client.get("/api/config")).json()
    (await talk.client.put("/api/config", json=config)).raise_for_status()
    assert (await talk.post("Hi")).json()["error"]["code"] == "key_missing"
    assert time.monotonic() - began < 2


async def test_provider_of_ones_own_may_need_no_key(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "openai")
    config = (await talk.client.get("/api/config")).json()
    config["providers"]["openai"]["api_key"] = ""
    (await talk.client.put("/api/config", json=config)).raise_for_status()
    double.script(say("Hello"))
    double.is_free = True
    try:
        assert (await talk.say("Hi"))["content"] == "Hello"
    finally:
        double.is_free = False
    assert "authorization" not in double.asked[0]["headers"]


async def test_a_provider_that_is_switched_off_is_not_asked_from_then_on(
    model_door: Door, double: ProviderDouble
) -> None:
    talk = await begin(model_door, double, "openai")
    double.script(say("Hello"), say("Hello"))
    for _ in range(2):  # the first may take seconds, for what providers stand on is loaded
        await talk.say("Hi")
    config = (await talk.client.get("/api/config")).json()
    config["providers"]["openai"]["enabled"] = False
    (await talk.client.put("/api/config", json=config)).raise_for_status()
    assert (await talk.post("Hi again")).json()["error"]["code"] == "model_unknown"


async def test_inner_addresses_are_not_called(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "local")
    config = (await talk.client.get("/api/config")).json()
    config["providers"]["local"] = {"api_base": "http://127.0.0.1:1/v1", "enabled": True}
    assert (await talk.client.put("/api/config", json=config)).status_code == 400


@FORMATS
async def test_two_tools_of_one_step_are_answered_together(
    model_door: Door, double: ProviderDouble, provider: str
) -> None:
    talk = await begin(model_door, double, provider)
    calls = (("memory_write", {"key": "a", "value": "x"}), ("list_directory", {}))
    double.script(Step(pieces=("Let me see. ",), calls=calls), say("done"))
    told = await talk.say("Hi")
    assert [item["name"] for item in told["tool_calls"]] == ["memory_write", "list_directory"]
    assert told["content"].startswith("Let me see.")
    assert told["content"].endswith("done")


async def test_loading_providers_does_not_hold_up_others(model_door: Door, double: ProviderDouble) -> None:
    talk, other = await begin(model_door, double, "openai"), await Talk.begin(model_door)
    double.script(say("done"))
    slow = asyncio.create_task(talk.say("Hi"))
    assert "offline/rules" in (await other.say("Hello"))["content"]
    await slow


async def test_model_that_never_stops_calling_tools_is_stopped(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "openai")
    double.script(*[call("list_directory") for _ in range(30)])
    answer = await talk.post("Hi")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "too_many_steps")
    assert len(double.asked) == 20
    assert len((await talk.messages())[-1]["tool_calls"]) == 20


async def test_skill_changes_what_its_agent_is_told_and_may_use(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "openai", skills=["code-review"])
    offered = (await talk.client.get("/api/skills/registry/search?q=review")).json()
    package = next(item for item in offered if item["name"] == "code-review")
    answer = await talk.client.post("/api/skills/install", json={"id": package["id"]})
    assert answer.json()["success"] is True
    double.script(say("one"), say("two"))
    await talk.say("Hi")
    told = double.asked[0]["body"]
    assert "# Skill: code-review" in str(told["messages"][0])
    await talk.client.patch("/api/skills/code-review", json={"enabled": False})
    await talk.say("Hi")
    assert "# Skill" not in str(double.asked[1]["body"]["messages"][0])
