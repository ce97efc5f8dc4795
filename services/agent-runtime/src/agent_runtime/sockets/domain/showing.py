"""What stands, told to whoever comes later."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from agent_runtime.ports import (
    CanvasCommand,
    CanvasUpdate,
    Drawing,
    DrawnElement,
    Frame,
    Message,
    Topic,
    message_payload,
)
from agent_runtime.sockets.domain.topics import forms_of

MAX_HISTORY_BYTES = 1024 * 1024


def newest(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Tell the last of some messages, as many as one frame may hold."""
    told: deque[dict[str, Any]] = deque()
    size = 0
    for message in reversed(messages):
        one = message_payload(message)
        size += len(msgspec.json.encode(one))
        if size > MAX_HISTORY_BYTES:
            break
        told.appendleft(one)
    return list(told)


def rendered(drawing: Drawing, name: str) -> Iterator[dict[str, Any]]:
    """Tell what stands on a canvas to whoever subscribed to a name: as the one batch that draws it from nothing.

    It begins by clearing, for its reader may have been away while something was removed.
    """
    commands = (CanvasCommand("reset"), *map(_render, drawing.elements))
    update = CanvasUpdate("batch", canvas_id=drawing.canvas_id, version=drawing.version, commands=commands)
    for form in forms_of(Frame.of("", Topic.CANVAS_UPDATE, update)):
        if name in form.names:
            yield from form.frames()


def _render(drawn: DrawnElement) -> CanvasCommand:
    return CanvasCommand("render", drawn.id, drawn.element, drawn.position)
