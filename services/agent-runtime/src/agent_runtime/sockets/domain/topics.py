"""Topics: by which names a frame is subscribed to, and what it looks like under each.

Two kinds of clients share a socket's protocol. One subscribes to a topic and reads `data`; the other, a page of the web
UI, dispatches by `type` and reads the payload's fields beside it. One frame serves both: the payload stands in `data`
and again at the top. Where the two want different frames (the canvas, the messages of a session), the name that was
subscribed to decides: a `Form` per frame, and a socket gets each form once. What is drawn and how speaking stands the
web UI took by the frame's own `type` at first, and takes from frames of the type `event` since; it is told in both.

Sockets that never subscribed are a page just loaded: the UI subscribes before its socket is open, and those frames are
lost. Such sockets get the few frames that a page without a subscription waits for (`UNASKED`).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from agent_runtime.ports import Frame, Said, Topic, session_topic

EVERYTHING: Final = "*"
"""Subscribes to every topic but those of single sessions."""
UNASKED: Final = ""
"""The name under which sockets that never subscribed are found."""

ANY_CANVAS: Final = "canvas:*"
"""The name under which the sockets of `/ws/canvas` hear every canvas."""

CANVAS_COMMANDS: Final = "canvas"
"""What is drawn, one command at a time, as the web UI takes it."""

_SESSION = session_topic("")
_SPOKEN = "sessions:"
_CHAT = "chat:"
_CANVAS_COMMAND = "canvas_command"
_EVENT = "event"
_PLAIN: Final[Mapping[str, tuple[str, ...]]] = {
    Topic.AGENT_STATUS: ("agents",),
    Topic.PIPELINE_STAGE: ("pipeline",),
    Topic.DELEGATION_UPDATE: ("delegation",),
    Topic.CHANNELS: ("channel:status", UNASKED),
    Topic.VOICE_STATUS: ("voice", UNASKED),
}
"""Topics with one form, and the further names that they are found by."""
_ALIASES: Final[Mapping[str, str]] = {
    alias: topic for topic, aliases in _PLAIN.items() for alias in aliases if alias != UNASKED
}

Payload = Mapping[str, Any]


class Form(Struct, frozen=True):
    """One way in which a frame is shown, to everybody who subscribed to one of `names`."""

    names: frozenset[str]
    topic: str
    type: str
    payloads: tuple[Payload, ...]
    is_flat: bool = True
    """Whether the payload stands at the top too."""

    def frames(self) -> Iterator[dict[str, Any]]:
        """Write each payload as a frame."""
        for payload in self.payloads:
            flat = payload if self.is_flat else {}
            yield {**flat, "type": self.type, "topic": self.topic, "data": payload}


def canvas_topic(canvas_id: str) -> str:
    """Name the topic of one canvas on `/ws/canvas`."""
    return f"canvas:id:{canvas_id}"


def canonical(name: str) -> str:
    """Give the one name that a topic's other names stand for."""
    if name.startswith(_CHAT) and name != Topic.CHAT_MESSAGE:
        return _SESSION + name.removeprefix(_CHAT)
    return _ALIASES.get(name, name)


def session_of(name: str) -> str | None:
    """Tell which session a topic belongs to."""
    for prefix in (_SESSION, _SPOKEN):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return None


def forms_of(frame: Frame) -> Iterator[Form]:
    """List how a frame is shown, and to whom."""
    special = _SPECIAL.get(frame.topic)
    if special is not None:
        yield from special(frame)
    elif frame.topic.startswith(_SESSION):
        key = frame.topic.removeprefix(_SESSION)
        yield _form(frame, frame.topic, _SPOKEN + key)
    else:
        yield _form(frame, frame.topic, *(name for name in _PLAIN.get(frame.topic, ()) if name == UNASKED), EVERYTHING)


def _form(frame: Frame, *names: str) -> Form:
    return Form(frozenset(names), frame.topic, frame.type, (frame.data,))


def _event(topic: str, *payloads: Payload, unasked: bool = False) -> Form:
    names = {topic, UNASKED} if unasked else {topic}
    return Form(frozenset(names), topic, _EVENT, payloads, is_flat=False)


def _chat_message(frame: Frame) -> Iterator[Form]:
    said = Said.of(frame)
    yield _form(frame, Topic.CHAT_MESSAGE, _SESSION + said.session_key, EVERYTHING)
    payload = {"role": said.role, "content": said.content, "session_key": said.session_key}
    around = {"type": "message", "channel": "web", "timestamp": said.timestamp}
    yield _event(_SPOKEN + said.session_key, {**around, **payload})


def _canvas_update(frame: Frame) -> Iterator[Form]:
    own = canvas_topic(str(frame.data.get("canvas_id", "")))
    yield _form(frame, Topic.CANVAS_UPDATE, EVERYTHING)
    yield Form(frozenset({ANY_CANVAS, own}), Topic.CANVAS_UPDATE, "command", (frame.data,))
    singles = tuple(_single(frame.data))
    yield Form(frozenset({CANVAS_COMMANDS, UNASKED}), CANVAS_COMMANDS, _CANVAS_COMMAND, singles)
    yield _event(CANVAS_COMMANDS, *({**single, "type": _CANVAS_COMMAND} for single in singles), unasked=True)


def _voice_status(frame: Frame) -> Iterator[Form]:
    yield _form(frame, Topic.VOICE_STATUS, UNASKED, EVERYTHING)
    yield _event(Topic.VOICE_STATUS, frame.data, unasked=True)


def _single(command: Payload) -> Iterator[Payload]:
    """Part a batch: the web UI knows single commands only."""
    if command.get("command") != "batch":
        yield command
        return
    around = {name: value for name, value in command.items() if name not in {"command", "commands"}}
    for part in command.get("commands") or ():
        yield {**around, **part}


_SPECIAL: Final[Mapping[str, Callable[[Frame], Iterator[Form]]]] = {
    Topic.CHAT_MESSAGE: _chat_message,
    Topic.CANVAS_UPDATE: _canvas_update,
    Topic.VOICE_STATUS: _voice_status,
}
