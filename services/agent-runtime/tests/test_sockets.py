"""Sockets of browsers: who hears what, in which form."""

from typing import Any

import pytest
import pytest_asyncio
from runtime_corner import Corner
from runtime_door import Door
from runtime_sockets import Wire, publish, wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"AGENT_RUNTIME_SOCKET_MESSAGES_PER_SECOND": "1000"}

MESSAGE = {"role": "assistant", "content": "Hi!", "timestamp": "2026-02-24T10:30:01Z", "session_key": "s1", "id": "m1"}
STATUS = {"agentId": "agent-1", "status": "running"}
FRAMES: list[tuple[str, str, dict[str, Any]]] = [
    ("agent:status", "agent:status", STATUS),
    ("chat:message", "chat:message", MESSAGE),
    ("canvas:update", "canvas:update", {"command": "reset", "canvas_id": "s1"}),
    ("pipeline:stage", "pipeline:stage", {"taskId": "r1", "stage": "router", "status": "active", "durationMs": 0}),
    ("delegation:update", "delegation:update", {"task_id": "del-1", "session_key": "s1", "status": "running"}),
]


@pytest_asyncio.fixture(loop_scope="module")
async def door(shared_door: Door) -> Corner:
    """The shared service, for accounts of the test's own."""
    return Corner(shared_door)


@pytest_asyncio.fixture(loop_scope="module")
async def page(door: Corner) -> Any:
    """A page that has just been welcomed."""
    async with wire(door.service, door.who) as opened:
        assert (await opened.hear())["type"] == "connected"
        await opened.heard_until_pong()
        yield opened


async def show(door: Corner, topic: str, kind: str, data: dict[str, Any], account_id: str = "") -> None:
    await publish(door.suite, topic, kind, data, account_id or door.account_id)


async def test_each_topic_is_heard_in_a_frame_for_both_kinds_of_clients(door: Corner, page: Wire) -> None:
    await page.subscribe(*(topic for topic, _, _ in FRAMES))
    for topic, kind, data in FRAMES:
        await show(door, topic, kind, data)
        frame = await page.hear(kind)
        assert frame["topic"] == topic
        assert frame["data"] == data
        assert {name: frame[name] for name in data} == data
        assert frame["seq"] > 0
        assert frame["ts"]


async def test_other_names_of_topics_hear_the_same(door: Corner, page: Wire) -> None:
    for name, (topic, kind, data) in {
        "agents": FRAMES[0], "session:s1": FRAMES[1], "chat:s1": FRAMES[1], "pipeline": FRAMES[3], "*": FRAMES[4],
    }.items():  # fmt: skip
        await page.subscribe(name)
        await show(door, topic, kind, data)
        assert (await page.hear(kind))["data"] == data
        await page.say({"type": "unsubscribe", "topic": name})
        assert await page.hear() == {"type": "unsubscribed", "topic": name}


async def test_tokens_of_a_session_go_to_its_subscribers_alone_and_stop_with_unsubscribe(
    door: Corner, page: Wire
) -> None:
    async with wire(door.service, door.who) as other:
        await page.subscribe("session:s1")
        await other.subscribe("session:s2", "*")
        for content in "abc":
            await show(door, "session:s1", "stream_chunk", {"session_key": "s1", "content": content})
        await show(door, "session:s1", "stream_done", {"session_key": "s1"})
        heard = [await page.hear("stream_chunk") for _ in range(3)]
        assert [frame["content"] for frame in heard] == ["a", "b", "c"]
        assert (await page.hear())["type"] == "stream_done"
        await page.subscribe("agent:status")
        await page.say({"type": "unsubscribe", "topic": "session:s1"})
        await page.hear("unsubscribed")
        await show(door, "session:s1", "stream_chunk", {"session_key": "s1", "content": "d"})
        await show(door, *FRAMES[0])
        for socket in (page, other):
            assert (await socket.hear())["type"] == "agent:status"


async def test_page_that_never_subscribed_hears_what_a_reloaded_page_waits_for(door: Corner, page: Wire) -> None:
    told: list[tuple[str, str, dict[str, Any]]] = [
        ("session:s1", "stream_chunk", {"session_key": "s1", "content": "a"}),
        ("agent:status", "agent:status", STATUS),
        ("channels", "channel_status", {"name": "web", "status": "connected", "message_count": 7}),
        ("canvas:update", "canvas:update", {"command": "remove", "id": "e1", "canvas_id": "s1"}),
        ("voice:status", "voice:status", {"state": "speaking"}),
    ]
    assert (await page.hear("channel_status"))["sockets"] == 1
    for topic, kind, data in told:
        await show(door, topic, kind, data)
    assert [await _short(page) for _ in range(5)] == [
        ("channel_status", "channels"), ("canvas_command", "canvas"), ("event", "canvas"),
        ("voice:status", "voice:status"), ("event", "voice:status"),
    ]  # fmt: skip
    await page.subscribe("agent:status")
    for topic, kind, data in told:
        await show(door, topic, kind, data)
    assert [(await _short(page))[0] for _ in range(3)] == ["agent:status", "voice:status", "event"]
    await page.say({"type": "unsubscribe", "topic": "voice:status"})
    await page.hear("unsubscribed")
    await show(door, "voice:status", "voice:status", {"state": "idle"})
    await show(door, *FRAMES[0])
    assert (await page.hear())["type"] == "agent:status"


async def test_batch_reaches_the_web_ui_command_by_command_and_others_whole(door: Corner, page: Wire) -> None:
    await page.subscribe("canvas", "canvas:update")
    commands = [{"command": "remove", "id": "e1"}, {"command": "reset"}]
    await show(door, "canvas:update", "canvas:update", {"command": "batch", "commands": commands, "canvas_id": "s1"})
    heard = [await page.hear() for _ in range(5)]
    assert heard[0]["type"] == "canvas:update"
    assert heard[0]["commands"] == commands
    assert [(frame["type"], frame["command"], frame.get("id") == "e1") for frame in heard[1:3]] == [
        ("canvas_command", "remove", True), ("canvas_command", "reset", False),
    ]  # fmt: skip
    assert [(frame["type"], frame["topic"], frame["data"]) for frame in heard[3:]] == [
        ("event", "canvas", command | {"type": "canvas_command", "canvas_id": "s1"}) for command in commands
    ]


async def test_spoken_conversation_hears_messages_as_events(door: Corner, page: Wire) -> None:
    await page.subscribe("sessions:voice")
    await show(door, "chat:message", "chat:message", MESSAGE | {"session_key": "voice"})
    frame = await page.hear("event")
    assert frame["topic"] == "sessions:voice"
    assert frame["data"]["type"] == "message"
    assert frame["data"]["role"] == "assistant"
    assert frame["data"]["content"] == "Hi!"


async def test_frames_of_another_account_are_not_heard(door: Corner, page: Wire) -> None:
    await page.subscribe("agent:status", "session:s1")
    await show(door, "agent:status", "agent:status", STATUS, door.other_id)
    await show(door, "session:s1", "stream_chunk", {"content": "secret"}, door.other_id)
    await show(door, "agent:status", "agent:status", STATUS | {"status": "ours"})
    assert (await page.hear())["status"] == "ours"


@pytest.mark.parametrize(
    ("raw", "code"), [("{", 4400), ("[]", 4400), ('{"type": 5}', 4400), (b"{}", 4400), ('"' + "x" * 66000 + '"', 1009)]
)
async def test_what_is_no_frame_closes_the_socket(door: Corner, page: Wire, raw: Any, code: int) -> None:
    await page.say(raw)
    assert await page.closed() == code


async def test_frames_that_cannot_be_taken_are_refused_and_the_socket_stays(page: Wire) -> None:
    for frame, code in [
        ({"type": "dance"}, "unknown_type"),
        ({"type": "subscribe", "topic": ""}, "invalid_frame"),
        ({"type": "message", "content": "hi\u0000", "session_key": "s1"}, "invalid_frame"),
        ({"type": "message", "content": "hi"}, "session_required"),
        ({"type": "message", "content": "hi", "session_key": "nowhere", "id": "m1"}, "session_not_found"),
        ({"type": "cancel"}, "nothing_to_cancel"),
        ({"type": "cancel", "run_id": "nothing"}, "run_not_found"),
        ({"type": "command", "canvas_id": "s1", "command": "reset"}, "unknown_type"),
        ({"type": "canvas_interaction", "interaction": "click", "element_id": "none"}, "session_required"),
    ]:
        told = await page.ask(frame, "error")
        assert told["code"] == code
        assert told.get("ref") == ({"id": "m1"} if "id" in frame else None)


async def test_refusals_of_frames_name_the_field_in_the_words_of_json(page: Wire) -> None:
    for frame, message in [
        ({"type": "message", "content": 7}, "content: Expected `string`, got `integer`"),
        ({"type": "message"}, "content: This field is needed."),
        ({"type": "cancel", "run_id": []}, "run_id: Expected `string | null`, got `array`"),
    ]:
        assert (await page.ask(frame, "error"))["message"] == message


async def test_too_many_subscriptions_are_refused(page: Wire) -> None:
    await page.subscribe(*(f"session:{number}" for number in range(100)))
    assert (await page.ask({"type": "subscribe", "topic": "session:100"}, "error"))["code"] == "too_many_topics"
    await page.subscribe("session:7")


async def test_too_many_canvases_are_refused_and_one_of_them_may_be_asked_for_again(door: Corner) -> None:
    async with wire(door.service, door.who, "/ws/canvas") as canvas:
        for number in range(100):
            await canvas.ask({"type": "subscribe", "canvas_id": f"c{number}"}, "subscribed")
        refused = await canvas.ask({"type": "subscribe", "canvas_id": "c100"}, "error")
        assert refused["code"] == "too_many_topics"
        assert (await canvas.ask({"type": "subscribe", "canvas_id": "c7"}, "subscribed"))["canvas_id"] == "c7"


async def test_unknown_session_has_no_chat_socket(door: Corner) -> None:
    async with wire(door.service, door.who, "/ws/chat/nowhere") as chat:
        assert (await chat.hear())["code"] == "session_not_found"
        assert await chat.closed() == 4404


async def test_request_that_is_no_socket_is_told_so(door: Corner) -> None:
    assert (await door.alice.get("/ws")).status_code == 426


async def _short(page: Wire) -> tuple[str, str]:
    frame = await page.hear()
    return frame["type"], frame["topic"]
