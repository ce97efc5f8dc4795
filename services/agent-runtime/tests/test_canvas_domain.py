"""What may be drawn, and what a command makes of a canvas."""

from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, strategies as st

from agent_runtime.canvas.domain import ELEMENT_TYPES, MAX_ELEMENTS, commands_of, update_of
from agent_runtime.canvas.errors import CanvasFullError, CommandInvalidError
from agent_runtime.canvas.schemas import CommandBody, Element

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
        {"command": "render", "id": "a", "element": {"type": ["text"], "content": "x"}},
        {"command": "render", "id": "a", "element": {"type": {"text": 1}, "content": "x"}},
        {"command": "render", "id": "a b", "element": TEXT},
        {"command": "render", "element": {"type": "image", "src": "javascript:alert(1)"}},
        {"command": "render", "element": {"type": "image", "src": "//elsewhere.test/x.png"}},
        {"command": "render", "element": {"type": "image", "src": "/\\elsewhere.test/x.png"}},
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
    with pytest.raises(CommandInvalidError) as refused:
        commands_of(command, {}, lambda: "new")
    (problem,) = refused.value.details
    assert refused.value.message == f"{problem.field}: {problem.message}"


@given(st.lists(st.sampled_from(SINGLE), min_size=1, max_size=8))
def test_batch_does_what_its_commands_do_one_after_the_other(commands: list[dict[str, Any]]) -> None:
    standing: dict[str, Any] = {}
    one_by_one, refused = [], False
    for command in commands:
        try:
            step = commands_of(command, standing, lambda: "new")[0]
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
            commands_of(batch, {}, lambda: "new")
    else:
        assert commands_of(batch, {}, lambda: "new") == one_by_one


def test_moment_of_an_update_is_told_in_utc_with_a_z() -> None:
    at = datetime(2026, 2, 24, 10, 30, tzinfo=UTC)
    (reset,) = commands_of({"command": "reset"}, {}, lambda: "new")
    update = update_of("s1", [reset], is_batch=False, agent_id="agent_1", version=1, at=at)
    assert update.timestamp == "2026-02-24T10:30:00Z"


def test_canvas_holds_so_much_and_no_more() -> None:
    standing: dict[str, Any] = {f"e{number}": TEXT for number in range(MAX_ELEMENTS)}
    with pytest.raises(CanvasFullError):
        commands_of({"command": "render", "element": TEXT}, standing, lambda: "more")
    assert commands_of({"command": "render", "id": "e0", "element": BUTTON}, standing, lambda: "new")
    large: dict[str, Any] = {f"e{number}": TEXT | {"content": "x" * 30_000} for number in range(17)}
    with pytest.raises(CanvasFullError):
        commands_of({"command": "render", "element": large["e0"]}, large, lambda: "more")
    assert commands_of({"command": "remove", "id": "e0"}, large, lambda: "new")


def test_both_spellings_of_an_element_are_taken_and_given() -> None:
    chart = {"type": "chart", "data": [{"label": "a", "value": 1}], "chart_type": "bar"}
    form = {"type": "form_advanced", "fields": [{"name": "n", "field_type": "select"}], "submit_action": "go"}
    (drawn,) = commands_of({"command": "render", "id": "c", "element": chart}, {}, lambda: "new")
    assert drawn.element["chartType"] == drawn.element["chart_type"] == "bar"
    (drawn,) = commands_of({"command": "render", "id": "f", "element": form}, {}, lambda: "new")
    assert drawn.element["submitAction"] == "go"
    assert drawn.element["fields"] == [{"name": "n", "field_type": "select", "type": "select"}]


@pytest.mark.parametrize("kind", ELEMENT_TYPES)
def test_what_is_described_of_an_element_is_what_it_needs(kind: str) -> None:
    described = {one.__struct_config__.tag: one for one in get_args(Element)}
    assert tuple(described) == ELEMENT_TYPES
    needed = {field.encode_name: field.type for field in msgspec.structs.fields(described[kind]) if field.required}
    samples: dict[str, Any] = {"src": "/a.png", "headers": ["a"], "rows": [[1]]}
    element = {"type": kind} | {name: samples.get(name, "x" if shape is str else []) for name, shape in needed.items()}
    command = {"command": "render", "element": element}
    (drawn,) = commands_of(command, {}, lambda: "new")
    assert drawn.element == element
    assert msgspec.convert(command, CommandBody.described_as)
    for name in needed:
        lacking = {"command": "render", "element": {key: value for key, value in element.items() if key != name}}
        with pytest.raises(CommandInvalidError):
            commands_of(lacking, {}, lambda: "new")


@pytest.mark.parametrize("command", [*SINGLE, {"command": "batch", "commands": SINGLE}])
def test_what_is_drawn_is_described(command: dict[str, Any]) -> None:
    assert msgspec.convert(command, CommandBody.described_as)
