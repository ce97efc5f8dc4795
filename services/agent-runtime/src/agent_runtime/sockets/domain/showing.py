"""What stands, told to whoever comes later."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from agent_runtime.ports import Drawing, Message
from agent_runtime.sockets.domain.topics import CANVAS_COMMAND, CANVAS_COMMANDS

MOST_HISTORY_BYTES = 1024 * 1024


def newest(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Tell the last of some messages, as many as one frame may hold."""
    told: deque[dict[str, Any]] = deque()
    size = 0
    for message in reversed(messages):
        one = said(message)
        size += len(msgspec.json.encode(one))
        if size > MOST_HISTORY_BYTES:
            break
        told.appendleft(one)
    return list(told)


def said(message: Message) -> dict[str, Any]:
    """Tell a message as `chat:message` does."""
    told: dict[str, Any] = msgspec.to_builtins(message)
    told.pop("steps")
    told["incomplete"] = told.pop("is_incomplete")
    return told


def state(drawing: Drawing) -> dict[str, Any]:
    """Tell what stands on a canvas, to those who know canvases."""
    return {"type": "state", **msgspec.to_builtins(drawing), "element_count": len(drawing.elements)}


def rendered(drawing: Drawing, topic: str) -> Iterable[dict[str, Any]]:
    """Tell what stands on a canvas as the commands that would draw it, in the form of a topic."""
    kind = CANVAS_COMMAND if topic == CANVAS_COMMANDS else topic
    for drawn in drawing.elements:
        told = {"command": "render", "canvas_id": drawing.canvas_id, "id": drawn.id, "element": drawn.element}
        told |= {"position": drawn.position} if drawn.position is not None else {}
        yield {**told, "type": kind, "topic": topic, "data": told}
