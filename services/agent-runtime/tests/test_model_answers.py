"""Answers of providers as they come on the wire: of every shape, length and end."""

import asyncio
import json
from datetime import timedelta

import pytest
from provider_double import ProviderDouble, Step, call, fail, say
from runtime_door import Door
from runtime_models import FORMATS, KEY, begin, double, model_door

from agent_runtime.errors import ModelUnavailableError
from agent_runtime.models.clients.cloud import cloud_model
from agent_runtime.plain import MAX_BYTES
from agent_runtime.ports import ModelName, Prompt, Provider, TextDelta, UserMessage
from shoal.config import Secret
from shoal.outgoing import Outgoing
from shoal.testing.suite import eventually

__all__ = ["double", "model_door"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
    provider = Provider(name="openai", api_base=double.openai_base, api_key=Secret("key"), is_enabled=True)
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
