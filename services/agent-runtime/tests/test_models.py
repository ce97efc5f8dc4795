"""Models of providers: both wire formats, and what may go wrong on the way."""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from provider_double import ProviderDouble, Step, call, fail, say
from runtime_door import Door
from runtime_talk import Talk, texts

from agent_runtime.errors import ModelUnavailableError
from agent_runtime.models.clients.cloud import cloud_model
from agent_runtime.plain import MAX_BYTES
from agent_runtime.ports import ModelName, Prompt, Provider, TextDelta, UserMessage
from shoal.installation import Installation
from shoal.outgoing import Outgoing
from shoal.service import installed
from shoal.testing.servers import TestDatabases, nats_server
from shoal.testing.suite import Suite, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "sk-CANARY-provider-key"
FORMATS = pytest.mark.parametrize("provider", ["openai", "anthropic", "local"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def double() -> AsyncIterator[ProviderDouble]:
    async with ProviderDouble().serving() as double:
        yield double


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model_door(
    databases: TestDatabases, installation: Installation, double: ProviderDouble
) -> AsyncIterator[Door]:
    url = await databases.make([installed()["agent-runtime"]])
    with tempfile.TemporaryDirectory() as folder:
        async with nats_server() as nats_url:
            suite = Suite(databases=databases, database_url=url, nats_url=nats_url, installation=installation)
            settings = {
                "SHOAL_STATE": folder,
                "SHOAL_OUTGOING_ALLOWED": f"127.0.0.1:{double.port}",
                "AGENT_RUNTIME_MODEL_TIMEOUT": "1s",
            }
            yield Door(suite, await suite.start("agent-runtime", **settings), Path(folder))
            await suite.close()
    await databases.drop(url)


async def begin(door: Door, double: ProviderDouble, provider: str, **agent: Any) -> Talk:
    """Begin to talk with an agent on a model of the double."""
    talk = await Talk.begin(door, model=f"{provider}/double-1", tools={"*": "auto"}, **agent)
    await configure(talk, double)
    return talk


async def configure(talk: Talk, double: ProviderDouble) -> None:
    config = (await talk.client.get("/api/config")).json()
    for name in ("openai", "anthropic", "local"):
        base = double.anthropic_base if name == "anthropic" else double.openai_base
        config["providers"][name] = {"api_base": base, "enabled": True, "api_key": KEY}
    answer = await talk.client.put("/api/config", json=config)
    assert answer.status_code == 200, answer.text


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
    assert (await talk.say("Hi"))["content"] == "Hello"


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


async def test_what_no_column_holds_is_marked(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "openai")
    double.script(say("a\x00b\ud83d", "c"), say("again"))
    assert (await talk.say("Hi"))["content"] == "a\ufffdb?c"
    assert (await talk.say("Hi"))["content"] == "again"


async def test_answer_without_end_is_broken_off(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "openai")
    double.script(say(*["x" * 100_000] * 20))
    answer = await talk.post("Hi")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "model_broke_off")
    await eventually(lambda: double.open_streams == 0)


async def test_call_without_end_is_broken_off(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "openai")
    double.script(*[call("write_file", path="a", content="x" * MAX_BYTES)] * 3)
    answer = await talk.post("Hi")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "model_unavailable")
    await eventually(lambda: double.open_streams == 0)


async def test_calls_without_number_are_broken_off(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "openai")
    double.script(Step(calls=(("list_directory", {}),) * 10_000))
    answer = await talk.post("Hi")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "model_broke_off")
    await eventually(lambda: double.open_streams == 0)


async def test_answer_of_another_shape_is_its_providers_fault(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "openai")
    odd = '{"id": "c1", "choices": [{"index": 0, "delta": {"tool_calls": "x"}, "finish_reason": null}]}'
    double.script(*[Step(is_garbled=True, garbage=odd)] * 3)
    answer = await talk.post("Hi")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "model_unavailable")


async def test_pieces_of_nearly_the_published_shape_are_understood(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "local")
    near = '{"created": null, "extra": 1, "choices": [{"delta": {"content": "there"}, "finish_reason": "stop"}]}'
    double.script(Step(pieces=("I am ",), is_garbled=True, garbage=near))
    assert (await talk.say("Hi"))["content"] == "I am there"


async def test_long_pieces_of_another_shape_are_not_made(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "local")
    odd = '{"delta": {"content": "x"}, "finish_reason": "stop"}'
    double.script(*[Step(is_garbled=True, garbage=f'{{"choices": [{", ".join([odd] * 2000)}]}}')] * 3)
    answer = await talk.post("Hi")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "model_unavailable")


async def test_answer_that_never_said_it_was_over_is_broken_off(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "local")
    double.script(Step(pieces=("half an ",), is_garbled=True, garbage='{"choices": [{"delta": {"content": "ans"}}]}'))
    answer = await talk.post("Hi")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "model_broke_off")
    _user, assistant = await talk.messages()
    assert (assistant["content"], assistant["incomplete"]) == ("half an ans", True)


async def test_error_within_an_answer_is_told(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "openai")
    told = '{"error": {"message": "the engine is overloaded", "code": 503}}'
    double.script(*[Step(is_garbled=True, garbage=told)] * 3)
    answer = await talk.post("Hi")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "model_unavailable")
    assert "the engine is overloaded" in answer.json()["detail"]
    assert len(double.asked) == 3


@FORMATS
async def test_key_is_shown_to_nobody_though_its_provider_repeats_it(
    model_door: Door, double: ProviderDouble, provider: str, capfd: pytest.CaptureFixture[str]
) -> None:
    talk = await begin(model_door, double, provider)
    double.script(Step(pieces=(f"{'x' * 220} the key {KEY} is wrong",), status=401))
    answer = await talk.post("Hi")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "model_refused")
    (run,) = (await talk.client.get(f"/api/sessions/{talk.key}/runs")).json()
    events = [event async for event in talk.events(run["id"])]
    assert "the key … is wrong" in answer.json()["detail"]
    assert "CANARY" not in f"{answer.text} {run} {events} {capfd.readouterr()}"


async def test_errors_are_told_though_no_column_holds_their_text(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "openai")
    double.script(*[Step(is_garbled=True, garbage='{"error": "out\\u0000of \\ud83d"}')] * 3)
    answer = await talk.post("Hi")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "model_unavailable")
    assert "out\ufffdof ?" in answer.json()["detail"]


@pytest.mark.parametrize("word", ["eos", "end_turn"])
async def test_answer_is_over_in_its_providers_own_words(model_door: Door, double: ProviderDouble, word: str) -> None:
    talk = await begin(model_door, double, "local")
    end = f'{{"choices": [{{"delta": {{}}, "finish_reason": "{word}"}}]}}'
    double.script(Step(pieces=("Hello",), is_garbled=True, garbage=end))
    assert (await talk.say("Hi"))["content"] == "Hello"


async def test_answer_that_its_provider_gave_up_is_broken_off(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "local")
    end = '{"choices": [{"delta": {}, "finish_reason": "network_error"}]}'
    double.script(Step(pieces=("half an ",), is_garbled=True, garbage=end))
    answer = await talk.post("Hi")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "model_broke_off")


async def test_signs_of_life_are_no_pieces(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "local")
    end = '{"choices": [{"delta": {"content": "there"}, "finish_reason": "stop"}]}'
    double.script(Step(is_garbled=True, garbage=f"\n\nevent: ping\n\nretry: 9\n\n: \n\ndata: {end}"))
    assert (await talk.say("Hi"))["content"] == "there"


async def test_json_of_great_depth_is_its_providers_fault(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "openai")
    double.script(*[Step(is_garbled=True, garbage="[" * 100_000)] * 3)
    answer = await talk.post("Hi")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "model_unavailable")


@pytest.mark.parametrize(
    ("told", "counted"),
    [([(5, 1), (5, 2), (5, 3)], 8), ([(10**30, 10**19)], 2 * 10**8)],
    ids=["so far", "too many"],
)
async def test_tokens_are_counted_however_they_are_told(
    model_door: Door, double: ProviderDouble, told: list[tuple[int, int]], counted: int
) -> None:
    talk = await begin(model_door, double, "local")
    usages = [{"prompt_tokens": asked, "completion_tokens": said, "total_tokens": 0} for asked, said in told]
    pieces = [{"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}], "usage": usage} for usage in usages]
    double.script(Step(is_garbled=True, garbage="\n\ndata: ".join(map(json.dumps, pieces))))
    assert (await talk.say("Hi"))["content"] == "x" * len(told)
    assert await talk.tokens() == counted


async def test_tokens_are_guessed_where_none_are_told(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "local")
    end = '{"choices": [{"delta": {}, "finish_reason": "stop"}]}'
    double.script(Step(pieces=("x" * 400,), is_garbled=True, garbage=end))
    await talk.say("Hi")
    assert await talk.tokens() > 100


async def test_answer_is_over_where_its_provider_says_so(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "openai")
    double.script(Step(pieces=("all of it",), lingers=True), say("again"))
    async with asyncio.timeout(1.5):
        assert (await talk.say("Hi"))["content"] == "all of it"
    await eventually(lambda: double.open_streams == 0)
    assert (await talk.say("Hi"))["content"] == "again"


async def test_who_finds_no_free_connection_is_told_so(double: ProviderDouble) -> None:
    provider = Provider(name="openai", api_base=double.openai_base, api_key=None, is_enabled=True)
    transport = Outgoing(f"127.0.0.1:{double.port}").transport()
    model = cloud_model(provider, transport, timedelta(seconds=2))
    asked = Prompt(
        model=ModelName("openai", "double-1"), instructions="", conversation=(UserMessage("Hi"),), tools=(),
        max_tokens=10, temperature=0.5,
    )  # fmt: skip
    double.script(*[Step(pieces=("word ",), pause_s=0.2, hangs=True)] * 100)
    answers = [model.stream(asked) for _ in range(101)]
    begun = await asyncio.gather(*map(anext, answers), return_exceptions=True)
    assert [str(one) for one in begun if isinstance(one, ModelUnavailableError)] == [
        "As many answers of providers are under way here as there may be."
    ]
    assert len([one for one in begun if isinstance(one, TextDelta)]) == 100
    for answer in answers:
        await answer.aclose()
    await transport.aclose()


async def test_packed_answer_is_not_unpacked(model_door: Door, double: ProviderDouble) -> None:
    talk = await begin(model_door, double, "openai")
    double.script(*[fail(500, content_encoding="gzip")] * 3)
    answer = await talk.post("Hi")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "model_unavailable")
    assert "packed" in answer.json()["detail"]


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
