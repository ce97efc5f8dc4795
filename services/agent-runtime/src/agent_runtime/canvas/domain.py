"""What may be drawn, and what a command makes of a canvas. Pure.

Elements are spelled in two ways by their writers and readers (`chartType` and `chart_type`): either is taken, and both
are kept.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import structs

from agent_runtime.canvas.errors import CanvasFullError, CommandInvalidError
from agent_runtime.ports import CanvasCommand, CanvasUpdate, DrawnElement
from shoal.clock import to_rfc3339

MAX_ELEMENTS = 500
MAX_ELEMENT_BYTES = 32 * 1024
MAX_CANVAS_BYTES = 512 * 1024
"""Of all elements together, and of one batch: what stands is told in one frame."""
MAX_COMMANDS = 100
MAX_CANVASES = 200
"""How many an account keeps: those drawn on last."""
ID_PATTERN = r"^[A-Za-z0-9_.:-]{1,128}\Z"

_ID = re.compile(ID_PATTERN)
_SAFE_SRC = re.compile(r"(?:https?://|data:image/|/[^/\\])", re.IGNORECASE)
_REQUIRED: Final[Mapping[str, Mapping[str, type]]] = {
    "text": {"content": str},
    "button": {"label": str},
    "input": {},
    "image": {"src": str},
    "code": {"code": str},
    "table": {"headers": list, "rows": list},
    "form": {"fields": list},
    "chart": {"data": list},
    "code_editor": {"code": str},
    "form_advanced": {"fields": list},
}
"""The elements there are, and what each must have."""
_NAMES: Final[Mapping[type, str]] = {str: "text", list: "list"}
_SPELLINGS: Final = (("chartType", "chart_type"), ("lineNumbers", "line_numbers"), ("submitAction", "submit_action"))
_FIELD_SPELLINGS: Final = (("type", "field_type"),)

ELEMENT_TYPES: Final = tuple(_REQUIRED)
COMMANDS: Final = ("render", "update", "remove", "reset", "batch")

Elements = Mapping[str, dict[str, Any]]


class CanvasSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A canvas, without what stands on it."""

    id: str
    version: int
    element_count: int
    updated_at: datetime


def commands_of(command: Mapping[str, Any], standing: Elements, new_id: Callable[[], str]) -> list[CanvasCommand]:
    """Tell what a command does to a canvas, one element after the other.

    Args:
        command: As the contract's `CanvasCommandData`.
        standing: What stands on the canvas, by id.
        new_id: Names an element that has no name.

    Raises:
        CommandInvalidError: It is no command, or changes what is not there; none of it is done.
        CanvasFullError: Too much would stand there.
    """
    elements = dict(standing)
    commands: list[CanvasCommand] = []
    for single in _singles(command):
        complete = _complete(single, elements, new_id)
        commands.append(complete)
        if complete.command == "reset":
            elements.clear()
        elif complete.command == "remove":
            del elements[complete.id or ""]
        else:
            elements[complete.id or ""] = complete.element or {}
        if len(elements) > MAX_ELEMENTS:
            raise CanvasFullError
    if max(_size(list(elements.values())), _size(commands)) > MAX_CANVAS_BYTES:
        raise CanvasFullError
    return commands


def update_of(
    canvas_id: str, commands: Sequence[CanvasCommand], *, is_batch: bool, agent_id: str, version: int, at: datetime
) -> CanvasUpdate:
    """Tell what was done to a canvas as the one command that asked for it."""
    if is_batch:
        shown = CanvasUpdate("batch", canvas_id=canvas_id, commands=tuple(commands))
    else:
        shown = CanvasUpdate(**structs.asdict(commands[0]), canvas_id=canvas_id)
    return structs.replace(shown, agent_id=agent_id, version=version, timestamp=to_rfc3339(at))


def by_id(elements: Sequence[DrawnElement]) -> dict[str, dict[str, Any]]:
    """Give elements by id, in the order in which they were drawn."""
    return {drawn.id: drawn.element for drawn in elements}


def _size(told: Any) -> int:
    return len(msgspec.json.encode(told))


def _singles(command: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if command.get("command") != "batch":
        yield command
        return
    commands = command.get("commands")
    if not isinstance(commands, list) or not 0 < len(commands) <= MAX_COMMANDS:
        raise CommandInvalidError("commands", f"a batch has 1 to {MAX_COMMANDS} of them")
    for part in commands:
        if not isinstance(part, Mapping) or part.get("command") == "batch":
            raise CommandInvalidError("commands", "a batch holds single commands")
        yield part


def _complete(command: Mapping[str, Any], elements: Elements, new_id: Callable[[], str]) -> CanvasCommand:
    match command.get("command"):
        case "render":
            element_id = command.get("id") or new_id()
            return CanvasCommand(
                "render", _checked_id(element_id), _element(command.get("element")), _position(command)
            )
        case "update":
            element_id = _present(command.get("id"), elements)
            element = command.get("element")
            if not isinstance(element, Mapping):
                raise CommandInvalidError("element", "an object")
            return CanvasCommand(
                "update", element_id, _element({**elements[element_id], **element}), _position(command)
            )
        case "remove":
            return CanvasCommand("remove", _present(command.get("id"), elements))
        case "reset":
            return CanvasCommand("reset")
    raise CommandInvalidError("command", f"one of {', '.join(COMMANDS)}")


def _checked_id(element_id: Any) -> str:
    if not isinstance(element_id, str) or not _ID.match(element_id):
        raise CommandInvalidError("id", "1 to 128 letters, digits and `_ . : -`")
    return element_id


def _present(element_id: Any, elements: Elements) -> str:
    if not isinstance(element_id, str) or element_id not in elements:
        raise CommandInvalidError("id", f"no element `{str(element_id)[:128]}` stands on this canvas")
    return element_id


def _position(command: Mapping[str, Any]) -> dict[str, Any] | None:
    position = command.get("position")
    if position is None:
        return None
    if not isinstance(position, Mapping) or len(msgspec.json.encode(position)) > 1024:  # noqa: PLR2004 - a few numbers
        raise CommandInvalidError("position", "a small object")
    return dict(position)


def _element(element: Any) -> dict[str, Any]:
    if not isinstance(element, Mapping) or element.get("type") not in ELEMENT_TYPES:
        raise CommandInvalidError("element", f"an object whose `type` is one of {', '.join(ELEMENT_TYPES)}")
    for name, kind in _REQUIRED[element["type"]].items():
        if not isinstance(element.get(name), kind):
            raise CommandInvalidError(f"element.{name}", f"an element `{element['type']}` needs a {_NAMES[kind]} here")
    if element["type"] == "image" and not _SAFE_SRC.match(element["src"]):
        raise CommandInvalidError("element.src", "an address of the web, a path, or `data:image/…`")
    spelled = _both_ways(element, _SPELLINGS)
    if element["type"] == "form_advanced":
        spelled["fields"] = [
            _both_ways(field, _FIELD_SPELLINGS) if isinstance(field, Mapping) else field for field in spelled["fields"]
        ]
    if len(msgspec.json.encode(spelled)) > MAX_ELEMENT_BYTES:
        raise CommandInvalidError("element", f"at most {MAX_ELEMENT_BYTES} bytes")
    return spelled


def _both_ways(written: Mapping[str, Any], spellings: Sequence[tuple[str, str]]) -> dict[str, Any]:
    both = dict(written)
    for one, other in spellings:
        if one in written or other in written:
            both[one] = both[other] = written.get(one, written.get(other))
    return both
