"""What sockets are sent, and what they send."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from agent_runtime.ports import Queueing, session_topic
from agent_runtime.sockets.domain.topics import EVERYTHING, Form
from shoal.wording import problem_in

MAX_FRAME_BYTES = 64 * 1024
MAX_CONTENT = 32_000
STREAM_CHUNK = "stream_chunk"

_encode = msgspec.json.Encoder(decimal_format="number").encode
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

Key = Annotated[str, Meta(min_length=1, max_length=128)]
Topic = Annotated[str, Meta(min_length=1, max_length=160)]


class AuthFrame(Struct, frozen=True, tag_field="type", tag="auth"):
    """Says who is there, where the handshake did not."""

    token: Annotated[str, Meta(min_length=1, max_length=256)]


class SubscribeFrame(Struct, frozen=True, tag_field="type", tag="subscribe"):
    """Asks for a topic, or for a canvas on a canvas' socket."""

    topic: Topic = EVERYTHING
    canvas_id: Key | None = None


class UnsubscribeFrame(Struct, frozen=True, tag_field="type", tag="unsubscribe"):
    """Asks for a topic, or a canvas, no more."""

    topic: Topic = EVERYTHING
    canvas_id: Key | None = None


class PingFrame(Struct, frozen=True, tag_field="type", tag="ping"):
    """Asks for a pong."""


class PongFrame(Struct, frozen=True, tag_field="type", tag="pong"):
    """Answers a ping of ours; nobody must."""


class MessageFrame(Struct, frozen=True, tag_field="type", tag="message"):
    """Something said to an agent; on a chat's socket the session is that chat."""

    content: Annotated[str, Meta(min_length=1, max_length=MAX_CONTENT)]
    session_key: Key | None = None
    id: Key | None = None
    """The sender's own name for it: sent again, it is the same message."""
    policy: Queueing = Queueing.ENQUEUE
    """What to do when the session is busy."""


class CancelFrame(Struct, frozen=True, tag_field="type", tag="cancel"):
    """Ends a run, or whatever runs in a session."""

    session_key: Key | None = None
    run_id: Key | None = None


class CanvasInteractionFrame(Struct, frozen=True, tag_field="type", tag="canvas_interaction"):
    """Somebody used what an agent drew; further fields say how."""

    interaction: Key
    element_id: Key | None = None
    canvas_id: Key | None = None
    session_id: Key | None = None


class InteractionFrame(CanvasInteractionFrame, frozen=True, tag_field="type", tag="interaction"):
    """The same, on a canvas' own socket."""


class CommandFrame(Struct, frozen=True, tag_field="type", tag="command"):
    """Draws, on a canvas' own socket; further fields are the command's."""

    canvas_id: Key


ClientFrame = (
    AuthFrame
    | SubscribeFrame
    | UnsubscribeFrame
    | PingFrame
    | PongFrame
    | MessageFrame
    | CancelFrame
    | CanvasInteractionFrame
    | InteractionFrame
    | CommandFrame
)


class _Typed(Struct, frozen=True):
    type: str


class RefusedFrameError(Exception):
    """A frame is not taken; the socket stays open."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(code)


class MalformedFrameError(Exception):
    """This is no frame at all."""


_client_frame = msgspec.json.Decoder(ClientFrame).decode
_typed = msgspec.json.Decoder(_Typed).decode


def read_client_frame(text: str | None) -> Any:
    """Read what a socket said.

    Raises:
        RefusedFrameError: It is no frame that we know, or one of its fields does not hold.
        MalformedFrameError: It is no JSON object with a type, or no text.
    """
    if text is None:
        raise MalformedFrameError("frames are text")
    try:
        frame = _client_frame(text)
    except msgspec.ValidationError as error:
        raise _refusal(error, text) from None
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise MalformedFrameError("a frame is one JSON object") from error
    if "\\u0000" in text and _NUL.search(text):
        raise RefusedFrameError("invalid_frame", "Text may not hold the character NUL.")
    return frame


def further_fields(text: str, *known: str) -> dict[str, Any]:
    """Read the fields of a frame that its type does not name."""
    fields: dict[str, Any] = msgspec.json.decode(text)
    return {name: value for name, value in fields.items() if name not in known}


def _refusal(error: msgspec.ValidationError, text: str) -> RefusedFrameError:
    try:
        _typed(text)
    except (msgspec.DecodeError, RecursionError):
        raise MalformedFrameError("a frame is one JSON object with a type") from None
    if str(error).endswith("- at `$.type`"):
        return RefusedFrameError("unknown_type", "There is no such type of frame.")
    return RefusedFrameError("invalid_frame", problem_in(error).sentence[:300])


Message = dict[str, Any]


def text_message(frame: Struct | Mapping[str, Any]) -> Message:
    """Write a frame as an ASGI message; it may be given to any number of sockets."""
    return {"type": "websocket.send", "text": _encode(frame).decode()}


class StreamChunk(Struct, frozen=True):
    """The payload of `stream_chunk`: some text of an answer as it comes, from which of its characters on."""

    session_key: str = ""
    run_id: str = ""
    content: str = ""
    offset: int = 0

    def frame(self) -> dict[str, Any]:
        """Write it as a frame of its session."""
        payload = msgspec.to_builtins(self)
        (frame,) = Form(frozenset(), session_topic(self.session_key), STREAM_CHUNK, (payload,)).frames()
        return frame


class _ChunkFrame(StreamChunk, frozen=True):
    type: str = ""


_chunk = msgspec.json.Decoder(_ChunkFrame).decode


def begins_at(messages: Iterable[Message], run_id: str) -> int | None:
    """Tell at which character of a run's text the first of some frames goes on; None when none does."""
    told = (_chunk(message["text"]) for message in messages if f'"{STREAM_CHUNK}"' in message["text"])
    return next((chunk.offset for chunk in told if (chunk.type, chunk.run_id) == (STREAM_CHUNK, run_id)), None)


class Numbers:
    """Numbers the frames that this process shows, in their order."""

    def __init__(self, process: str) -> None:
        self._process = process
        self._numbers = itertools.count(1)

    def show(self, form: Form, at: datetime) -> Iterator[Message]:
        """Write what a form looks like.

        The payload's own fields win over `id`, `seq` and `ts`: to the web UI a canvas command's `id` is its element's.
        """
        for frame in form.frames():
            number = next(self._numbers)
            yield text_message({"id": f"{self._process}-{number}", "seq": number, "ts": at, **frame})
