"""What agents draw: kept, shown, and shown again to whoever comes later."""

import asyncio
from typing import Any

import pytest
import pytest_asyncio
from runtime_corner import Corner
from runtime_door import Door
from runtime_sockets import wire

from shoal.testing.suite import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = {"type": "text", "content": "Hello", "format": "markdown"}
BUTTON = {"type": "button", "label": "Save", "action": "save"}
DRAWN_ANEW = [("reset", None), ("render", "t1"), ("render", "b1")]


@pytest_asyncio.fixture(loop_scope="module")
async def door(shared_door: Door) -> Corner:
    """The shared service, for accounts of the test's own."""
    return Corner(shared_door)


@pytest_asyncio.fixture(loop_scope="module")
async def drawn(door: Corner) -> Corner:
    """A canvas with a text and a button."""
    for name, element in (("t1", TEXT), ("b1", BUTTON)):
        command = {"command": "render", "id": name, "element": element, "position": {"x": 1, "y": 2}}
        assert (await door.alice.post("/api/canvas/s1/commands", json=command)).json() == {"success": True}
    return door


async def test_canvas_is_kept_and_shown(drawn: Corner) -> None:
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


async def test_refused_command_changes_nothing(drawn: Corner) -> None:
    batch = {"command": "batch", "commands": [{"command": "reset"}, {"command": "remove", "id": "t1"}]}
    answer = await drawn.alice.post("/api/canvas/s1/commands", json=batch)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_canvas_command")
    problem = {"field": "id", "message": "no element `t1` stands on this canvas"}
    assert answer.json()["error"]["details"] == [problem]
    assert (await drawn.alice.get("/api/canvas/s1/state")).json()["element_count"] == 2


async def test_canvas_of_another_account_is_not_there(drawn: Corner) -> None:
    assert (await drawn.stranger.get("/api/canvas/s1/state")).json()["element_count"] == 0
    assert (await drawn.stranger.get("/api/canvas")).json() == []
    assert (await drawn.stranger.delete("/api/canvas/s1")).status_code == 404
    assert (await drawn.nobody.get("/api/canvas")).status_code == 401
    async with wire(drawn.service, drawn.other) as page:
        await page.hear("connected")
        assert [frame["type"] for frame in await page.heard_until_pong()] == []


async def test_account_keeps_the_canvases_that_were_drawn_on_last(door: Corner) -> None:
    await door.sql(
        """
        insert into canvas (account_id, id, updated_at)
        select $1, 'c' || age, now() - age * interval '1 minute'
          from generate_series(1, 200) as age
        """,
        door.account_id,
    )
    for canvas_id in ("c200", "new"):
        command = {"command": "render", "element": TEXT}
        assert (await door.alice.post(f"/api/canvas/{canvas_id}/commands", json=command)).status_code == 200
    kept = [canvas["canvas_id"] for canvas in (await door.alice.get("/api/canvas")).json()]
    assert kept == ["new", "c200", *(f"c{age}" for age in range(1, 199))]
    assert await door.sql("select count(*) from canvas where account_id = $1", door.account_id) == [(200,)]


async def test_canvases_that_are_drawn_at_once_are_no_more_than_that(door: Corner) -> None:
    await door.sql(
        "insert into canvas (account_id, id) select $1, 'c' || n from generate_series(1, 200) as n", door.account_id
    )

    async def draw(canvas_id: str) -> int:
        command = {"command": "render", "element": TEXT}
        return (await door.alice.post(f"/api/canvas/{canvas_id}/commands", json=command)).status_code

    async def wait() -> bool:
        return len(await door.sql("select from pg_locks where not granted")) >= 2

    async with door.held("lock table canvas in share mode"):
        drawing = [asyncio.create_task(draw(f"new{number}")) for number in range(5)]
        await eventually(wait)
    assert [await task for task in drawing] == [200] * 5
    assert await door.sql("select count(*) from canvas where account_id = $1", door.account_id) == [(200,)]


async def test_page_that_comes_later_is_shown_what_stands(drawn: Corner) -> None:
    async with wire(drawn.service, drawn.who) as page:
        await page.hear("connected")
        shown = await page.heard_until_pong()
        commands = [frame for frame in shown if frame["type"] == "canvas_command"]
        assert [(frame["command"], frame.get("id")) for frame in commands] == DRAWN_ANEW
        assert commands[1]["element"] == commands[1]["data"]["element"] == TEXT
        events = [frame["data"] for frame in shown if frame["type"] == "event"]
        assert [(told["type"], told["command"], told.get("id")) for told in events] == [
            ("canvas_command", *drawn) for drawn in DRAWN_ANEW
        ]
        await page.say({"type": "subscribe", "topic": "canvas"})
        assert [frame["type"] for frame in await page.heard_until_pong()] == [
            "subscribed", *["canvas_command"] * 3, *["event"] * 3,
        ]  # fmt: skip


async def test_canvas_of_many_commands_is_told_as_one_batch_of_what_stands(drawn: Corner) -> None:
    for content in "abc":
        changed = {"command": "update", "id": "t1", "element": {"content": content}}
        await drawn.alice.post("/api/canvas/s1/commands", json=changed)
    await drawn.alice.post("/api/canvas/s1/commands", json={"command": "remove", "id": "b1"})
    async with wire(drawn.service, drawn.who) as page:
        await page.subscribe("canvas:update")
        (told,) = await page.heard_until_pong()
        assert (told["type"], told["command"], told["version"]) == ("canvas:update", "batch", 6)
        assert told["commands"] == told["data"]["commands"]
        assert told["commands"] == [
            {"command": "reset"},
            {"command": "render", "id": "t1", "element": TEXT | {"content": "c"}, "position": {"x": 1, "y": 2}},
        ]


async def test_canvas_socket_tells_the_state_then_each_command(drawn: Corner) -> None:
    async with wire(drawn.service, drawn.who, "/ws/canvas") as canvas:
        await canvas.hear("connected")
        assert (await canvas.hear())["type"] == "state"
        state = await _subscribed(canvas, "s1")
        assert [element["id"] for element in state["elements"]] == ["t1", "b1"]
        assert state["element_count"] == 2
        assert (await _subscribed(canvas, "s2"))["elements"] == []
        commands = [{"command": "remove", "id": "t1"}, {"command": "render", "element": TEXT}]
        await canvas.say({"type": "command", "canvas_id": "s1", "command": "batch", "commands": commands})
        told = await canvas.hear("command")
        assert (told["canvas_id"], told["command"], told["agent_id"]) == ("s1", "batch", drawn.who.subject)
        assert told["commands"][1]["id"].startswith("el_")
        await drawn.alice.post("/api/canvas/s3/commands", json={"command": "reset"})
        assert await canvas.heard_until_pong() == []
        refused = await canvas.ask({"type": "command", "canvas_id": "s1", "command": "paint"}, "error")
        assert refused["code"] == "invalid_canvas_command"


async def test_canvas_socket_without_a_subscription_hears_every_canvas(door: Corner) -> None:
    async with wire(door.service, door.who, "/ws/canvas") as canvas:
        await canvas.hear("connected")
        await canvas.heard_until_pong()
        await door.admin.post("/api/canvas/s3/commands", json={"command": "reset"})
        assert (await canvas.hear("command"))["canvas_id"] == "s3"


async def test_deleted_canvas_is_cleared_where_it_is_shown(drawn: Corner) -> None:
    async with wire(drawn.service, drawn.who) as page:
        await page.subscribe("canvas:update")
        assert (await page.hear("canvas:update"))["command"] == "batch"
        assert (await drawn.alice.delete("/api/canvas/s1")).json() == {"success": True}
        assert (await page.hear("canvas:update"))["command"] == "reset"
    assert (await drawn.alice.get("/api/canvas")).json() == []


async def _subscribed(canvas: Any, canvas_id: str) -> dict[str, Any]:
    await canvas.say({"type": "subscribe", "canvas_id": canvas_id})
    assert (await canvas.hear("subscribed"))["canvas_id"] == canvas_id
    state: dict[str, Any] = await canvas.hear()
    assert (state["type"], state["canvas_id"]) == ("state", canvas_id)
    return state
