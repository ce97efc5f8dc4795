"""What is not a good frame: refused with a word, or the end of the socket, with the code that says why."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")


AGENT = '"agent_id":"agent_1","timestamp":"NOW"'
BROKEN = [
    ('{"type":"nonsense"}', "unknown_type"),
    ('{"type":7}', "unknown_type"),
    ("{}", "invalid_frame"),
    (f'{{"type":"metrics",{AGENT}}}', "invalid_frame"),
    (f'{{"type":"metrics",{AGENT},"data":[]}}', "invalid_frame"),
    ('{"type":"metrics","agent_id":7,"timestamp":"NOW","data":{}}', "invalid_frame"),
    ('{"type":"metrics","agent_id":"agent_1","timestamp":"2026-01-30T12:00:00","data":{}}', "invalid_frame"),
    ('{"type":"metrics","agent_id":"agent_1","timestamp":1769774400,"data":{}}', "invalid_frame"),
    (f'{{"type":"metrics",{AGENT},"data":{{"cpu_percent":1e400}}}}', "invalid_frame"),
    (f'{{"type":"metrics",{AGENT},"data":{{"messages_1h":123456789012345678901234567890}}}}', "invalid_frame"),
    (f'{{"type":"metrics",{AGENT},"data":{{"messages_1h":"12"}}}}', "invalid_frame"),
    (f'{{"type":"metrics",{AGENT},"data":{{"messages_1h":true}}}}', "invalid_frame"),
    (f'{{"type":"metrics",{AGENT},"data":{{"revenue_1h":"NaN"}}}}', "invalid_frame"),
    (f'{{"type":"metrics",{AGENT},"data":{{}},"seq":0}}', "invalid_frame"),
    (f'{{"type":"metrics",{AGENT},"data":{{}},"seq":4294967296}}', "invalid_frame"),
    (f'{{"type":"status",{AGENT},"status":""}}', "invalid_frame"),
    (f'{{"type":"status",{AGENT},"status":"on\\u0000line"}}', "invalid_frame"),
    (f'{{"type":"skills",{AGENT},"data":{{"a":{{"revenue_1h":"1e5"}}}}}}', "invalid_frame"),
    (f'{{"type":"skills",{AGENT},"data":{{"":{{}}}}}}', "invalid_frame"),
    ('{"type":"batch","items":{}}', "invalid_frame"),
    *(
        (f'{{"type":"status","agent_id":"agent_1","timestamp":"{at}","status":"x"}}', "timestamp_out_of_range")
        for at in ("1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00")
    ),
]
MALFORMED = ["", "nul", "not json", "[]", "7", '"auth"', '{"type":"ping"', '{"type":"ping"} trailing', "[" * 30_000]
MALFORMED += ['{"type":"ping","x":' + "[" * 20_000 + "]" * 20_000 + "}", '{"type":"ping","x":NaN}']
MALFORMED += ['{"type":"ping","x":"\\ud800"}', b'{"type":"ping"}', b"\x00\xff"]
TIMES = [({"hours": -23.9}, True), ({"hours": -24.1}, False), ({"minutes": 4.9}, True), ({"minutes": 5.1}, False)]


@pytest.mark.parametrize(("text", "code"), BROKEN)
async def test_frames_that_break_the_contract_are_refused_and_the_socket_stays(shared, text: str, code: str) -> None:
    agent = await shared.fresh_agent()
    wire = await shared.agent(agent)
    text = text.replace("agent_1", agent.agent_id).replace("NOW", datetime.now(UTC).isoformat())
    await wire.say(text)
    refused = await wire.hear()
    assert (refused["type"], refused["code"]) == ("protocol_error", code)
    assert refused["message"]
    await wire.say(agent.metrics())
    await wire.ping()
    assert len(await shared.samples_of(agent)) == 1


async def test_refusals_name_the_field_in_the_words_of_json(shared) -> None:
    agent = await shared.fresh_agent()
    wire = await shared.agent(agent)
    wrong = agent.metrics(seq=1) | {"data": {"messages_1h": "12"}}
    for frame, message in [
        (wrong, "data.messages_1h: Expected `integer | number | null`, got `string`"),
        ({"type": "auth", "token": "x", "epoch": "a b"}, "epoch: Must match ^[A-Za-z0-9_-]{1,64}$"),
        ({}, "type: This field is needed."),
        ({"type": "batch", "items": [wrong]}, "data.messages_1h: Expected `integer | number | null`, got `string`"),
    ]:
        await wire.say(frame)
        assert (await wire.hear("protocol_error"))["message"] == message


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
async def test_what_is_no_frame_closes_the_socket(shared, text: Any) -> None:
    wire = await shared.agent(await shared.fresh_agent())
    await wire.say(text)
    assert await wire.closed() == 4400


async def test_frame_of_64_kib_is_read_and_one_more_byte_closes(shared) -> None:
    wire = await shared.agent(await shared.fresh_agent())
    frame = '{"type":"ping","x":"' + "x" * (65536 - 22) + '"}'
    assert len(frame) == 65536
    await wire.say(frame)
    assert await wire.hear("pong")
    await wire.say(frame + " ")
    assert await wire.closed() == 1009


async def test_message_of_very_many_fragments_closes(shared) -> None:
    wire = await shared.agent(await shared.fresh_agent())
    await wire.connection.send(iter(["{"] + [" "] * 3000))
    assert await wire.closed() == 1009


@pytest.mark.parametrize(("ahead", "is_taken"), TIMES)
async def test_old_samples_are_taken_for_a_day_and_future_ones_for_five_minutes(shared, ahead, is_taken) -> None:
    agent = await shared.fresh_agent()
    wire = await shared.agent(agent)
    at = datetime.now(UTC) + timedelta(**ahead)
    await wire.say(agent.metrics(at=at, seq=9))
    if is_taken:
        await wire.ping()
        [sample] = await shared.samples_of(agent)
        assert sample.at == at
    else:
        refused = await wire.hear()
        assert (refused["code"], refused["ref"]) == ("timestamp_out_of_range", {"seq": 9})
        assert await wire.hear() == {"type": "ack", "seq": 9}
