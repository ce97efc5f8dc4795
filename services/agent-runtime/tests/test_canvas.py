"""What agents draw: kept, shown, and shown again to whoever comes later."""

from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, strategies as st
from runtime_door import ADMIN, ALICE, STRANGER, Door
from runtime_sockets import wire

from agent_runtime.canvas.domain import MOST_ELEMENTS, steps_of
from agent_runtime.canvas.errors import CanvasFullError, CommandInvalidError

TEXT = {"type": "text", "content": "Hello", "format": "markdown"}
BUTTON = {"type": "button", "label": "Save", "action": "save"}
SINGLE = [
    {"command": "reset"},
    *({"command": "render", "id": name, "element": TEXT} for name in "ab"),
    *({"command": "update", "id": name, "element": {"content": "Bye"}} for name in "ab"),
    *({"command": "remove", "id": name} for name in "ab"),
]


@pytest.mark.parametrize(
    "command",
    [
        {},
        {"command": "paint"},
        {"command": "render", "id": "a"},
        {"command": "render", "id": "a", "element": {"type": "hologram"}},
        {"command": "render", "id": "a b", "element": TEXT},
        {"command": "render", "element": {"type": "image", "src": "javascript:alert(1)"}},
        {"command": "render", "element": {"type": "table", "headers": ["a"]}},
        {"command": "render", "element": {"type": "text", "content": "x" * 40_000}},
        {"command": "update", "id": "a", "element": TEXT},
        {"command": "remove", "id": "a"},
        {"command": "batch"},
        {"command": "batch", "commands": []},
        {"command": "batch", "commands": [{"command": "batch", "commands": [{"command": "reset"}]}]},
        {"command": "batch", "commands": [{"command": "reset"}] * 101},
        {"command": "render", "element": TEXT, "position": {"x": "y" * 2000}},
    ],
)
def test_what_is_no_command_is_refused(command: dict[str, Any]) -> None:
    with pytest.raises(CommandInvalidError):
        steps_of(command, {}, lambda: "new")


@given(st.lists(st.sampled_from(SINGLE), min_size=1, max_size=8))
def test_batch_does_what_its_commands_do_one_after_the_other(commands: list[dict[str, Any]]) -> None:
    standing: dict[str, Any] = {}
    one_by_one, refused = [], False
    for command in commands:
        try:
            step = steps_of(command, standing, lambda: "new")[0]
        except CommandInvalidError:
            refused = True
            break
        one_by_one.append(step)
        if step.command == "reset":
            standing.clear()
        elif step.command == "remove":
            del standing[step.id]
        else:
            standing[step.id] = step.element
    batch = {"command": "batch", "commands": commands}
    if refused:
        with pytest.raises(CommandInvalidError):
            steps_of(batch, {}, lambda: "new")
    else:
        assert steps_of(batch, {}, lambda: "new") == one_by_one


def test_canvas_holds_so_much_and_no_more() -> None:
    standing: dict[str, Any] = {f"e{number}": TEXT for number in range(MOST_ELEMENTS)}
    with pytest.raises(CanvasFullError):
        steps_of({"command": "render", "element": TEXT}, standing, lambda: "more")
    assert steps_of({"command": "render", "id": "e0", "element": BUTTON}, standing, lambda: "new")
    large: dict[str, Any] = {f"e{number}": TEXT | {"content": "x" * 30_000} for number in range(17)}
    with pytest.raises(CanvasFullError):
        steps_of({"command": "render", "element": large["e0"]}, large, lambda: "more")
    assert steps_of({"command": "remove", "id": "e0"}, large, lambda: "new")


def test_both_spellings_of_an_element_are_taken_and_given() -> None:
    chart = {"type": "chart", "data": [{"label": "a", "value": 1}], "chart_type": "bar"}
    form = {"type": "form_advanced", "fields": [{"name": "n", "field_type": "select"}], "submit_action": "go"}
    (drawn,) = steps_of({"command": "render", "id": "c", "element": chart}, {}, lambda: "new")
    assert drawn.element["chartType"] == drawn.element["chart_type"] == "bar"
    (drawn,) = steps_of({"command": "render", "id": "f", "element": form}, {}, lambda: "new")
    assert drawn.element["submitAction"] == "go"
    assert drawn.element["fields"] == [{"name": "n", "field_type": "select", "type": "select"}]


@pytest_asyncio.fixture
async def drawn(door: Door) -> Door:
    """A canvas with a text and a button."""
    for name, element in (("t1", TEXT), ("b1", BUTTON)):
        command = {"command": "render", "id": name, "element": element, "position": {"x": 1, "y": 2}}
        assert (await door.alice.post("/api/canvas/s1/commands", json=command)).json() == {"success": True}
    return door


async def test_canvas_is_kept_and_shown(drawn: Door) -> None:
    changed = {"command": "update", "id": "t1", "element": {"content": "Bye"}}
    await drawn.alice.post("/api/canvas/s1/commands", json=changed)
    state = (await drawn.alice.get("/api/canvas/s1/state")).json()
    assert state["canvas_id"] == "s1"
    assert (state["element_count"], state["version"]) == (2, 3)
    assert [element["id"] for element in state["elements"]] == ["t1", "b1"]
    assert state["elements"][0]["element"] == TEXT | {"content": "Bye"}
    assert state["elements"][0]["position"] == {"x": 1, "y": 2}
    (listed,) = (await drawn.alice.get("/api/canvas")).json()
    assert (listed["canvas_id"], listed["element_count"]) == ("s1", 2)


async def test_refused_command_changes_nothing(drawn: Door) -> None:
    batch = {"command": "batch", "commands": [{"command": "reset"}, {"command": "remove", "id": "t1"}]}
    answer = await drawn.alice.post("/api/canvas/s1/commands", json=batch)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_canvas_command")
    assert (await drawn.alice.get("/api/canvas/s1/state")).json()["element_count"] == 2


async def test_canvas_of_another_account_is_not_there(drawn: Door) -> None:
    assert (await drawn.stranger.get("/api/canvas/s1/state")).json()["element_count"] == 0
    assert (await drawn.stranger.get("/api/canvas")).json() == []
    assert (await drawn.stranger.delete("/api/canvas/s1")).status_code == 404
    assert (await drawn.nobody.get("/api/canvas")).status_code == 401
    async with wire(drawn.service, STRANGER) as page:
        await page.hear("connected")
        assert [frame["type"] for frame in await page.heard_until_pong()] == []


async def test_page_that_comes_later_is_shown_what_stands(drawn: Door) -> None:
    async with wire(drawn.service, ALICE) as page:
        await page.hear("connected")
        commands = await page.heard_until_pong()
        assert [(frame["type"], frame["command"], frame["id"]) for frame in commands] == [
            ("canvas_command", "render", "t1"), ("canvas_command", "render", "b1"),
        ]  # fmt: skip
        assert commands[0]["element"] == commands[0]["data"]["element"] == TEXT
        await page.say({"type": "subscribe", "topic": "canvas"})
        assert [frame["type"] for frame in await page.heard_until_pong()] == [
            "subscribed", "canvas_command", "canvas_command",
        ]  # fmt: skip


async def test_canvas_socket_tells_the_state_then_each_command(drawn: Door) -> None:
    async with wire(drawn.service, ALICE, "/ws/canvas") as canvas:
        await canvas.hear("connected")
        assert (await canvas.hear())["type"] == "state"
        state = await _subscribed(canvas, "s1")
        assert [element["id"] for element in state["elements"]] == ["t1", "b1"]
        assert state["element_count"] == 2
        assert (await _subscribed(canvas, "s2"))["elements"] == []
        commands = [{"command": "remove", "id": "t1"}, {"command": "render", "element": TEXT}]
        await canvas.say({"type": "command", "canvas_id": "s1", "command": "batch", "commands": commands})
        told = await canvas.hear("command")
        assert (told["canvas_id"], told["command"], told["agent_id"]) == ("s1", "batch", "user:user_alice")
        assert told["commands"][1]["id"].startswith("el_")
        await drawn.alice.post("/api/canvas/s3/commands", json={"command": "reset"})
        assert await canvas.heard_until_pong() == []
        refused = await canvas.ask({"type": "command", "canvas_id": "s1", "command": "paint"}, "error")
        assert refused["code"] == "invalid_canvas_command"


async def test_canvas_socket_without_a_subscription_hears_every_canvas(door: Door) -> None:
    async with wire(door.service, ADMIN, "/ws/canvas") as canvas:
        await canvas.hear("connected")
        await canvas.heard_until_pong()
        await door.admin.post("/api/canvas/s3/commands", json={"command": "reset"})
        assert (await canvas.hear("command"))["canvas_id"] == "s3"


async def test_deleted_canvas_is_cleared_where_it_is_shown(drawn: Door) -> None:
    async with wire(drawn.service, ALICE) as page:
        await page.subscribe("canvas:update")
        assert [(await page.hear("canvas:update"))["id"] for _ in range(2)] == ["t1", "b1"]
        assert (await drawn.alice.delete("/api/canvas/s1")).json() == {"success": True}
        assert (await page.hear("canvas:update"))["command"] == "reset"
    assert (await drawn.alice.get("/api/canvas")).json() == []


async def _subscribed(canvas: Any, canvas_id: str) -> dict[str, Any]:
    await canvas.say({"type": "subscribe", "canvas_id": canvas_id})
    assert (await canvas.hear("subscribed"))["canvas_id"] == canvas_id
    state: dict[str, Any] = await canvas.hear()
    assert (state["type"], state["canvas_id"]) == ("state", canvas_id)
    return state
