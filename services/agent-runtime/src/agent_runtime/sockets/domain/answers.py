"""What a socket is answered with, beside the frames of its account."""

from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from agent_runtime.ports import Drawing, DrawnElement


class Ref(Struct, frozen=True):
    """The frame that an answer is about, by its sender's own name for it."""

    id: str


class SignedInFrame(Struct, frozen=True, tag_field="type", tag="auth_success"):
    """The credential of an auth frame is good; whose it is."""

    user_id: str
    account_id: str


class TurnedAwayFrame(Struct, frozen=True, tag_field="type", tag="auth_error"):
    """The credential of an auth frame is not good, or another user's; the socket closes."""

    code: str
    message: str


class ConnectedFrame(Struct, frozen=True, tag_field="type", tag="connected"):
    """Welcome; `session_key` where the socket is one session's."""

    socket_id: str
    session_key: str | UnsetType = UNSET
    message: str = "Shoal WebSocket connected"


class KeepAliveFrame(Struct, frozen=True, tag_field="type", tag="ping"):
    """Something to say after a long silence."""

    timestamp: datetime


class AliveFrame(Struct, frozen=True, tag_field="type", tag="pong"):
    """The answer to a ping."""

    timestamp: datetime


class HistoryFrame(Struct, frozen=True, tag_field="type", tag="history"):
    """What was said in a session, oldest first, each as a `MessageView`."""

    session_key: str
    messages: list[dict[str, Any]]


class StateFrame(Struct, frozen=True, tag_field="type", tag="state"):
    """What stands on a canvas, to those who know canvases."""

    canvas_id: str
    version: int
    elements: tuple[DrawnElement, ...]
    element_count: int

    @classmethod
    def from_domain(cls, drawing: Drawing) -> "StateFrame":
        """Tell what stands on a canvas."""
        return cls(drawing.canvas_id, drawing.version, drawing.elements, len(drawing.elements))


class AcceptedFrame(Struct, frozen=True, tag_field="type", tag="accepted"):
    """A message was taken; this run answers it."""

    session_key: str
    run_id: str
    ref: Ref | UnsetType = UNSET


class CancellingFrame(Struct, frozen=True, tag_field="type", tag="cancelling"):
    """A run, or whatever runs in a session, is being ended."""

    session_key: str | None
    run_id: str | None


class ErrorFrame(Struct, frozen=True, tag_field="type", tag="error"):
    """Something was not done: the code that HTTP has for it too, and the reason in words."""

    code: str
    message: str
    ref: Ref | UnsetType = UNSET


class SubscribedFrame(Struct, frozen=True, tag_field="type", tag="subscribed"):
    """A topic, or on a canvas' socket a canvas (None: every one), is heard from now on."""

    topic: str | UnsetType = UNSET
    canvas_id: str | UnsetType | None = UNSET


class UnsubscribedFrame(Struct, frozen=True, tag_field="type", tag="unsubscribed"):
    """A topic, or a canvas, is heard no more."""

    topic: str | UnsetType = UNSET
    canvas_id: str | UnsetType | None = UNSET


def ref_of(frame: object) -> Ref | UnsetType:
    """Name the frame that something is answered to; only messages have names."""
    name = getattr(frame, "id", None)
    return Ref(name) if name else UNSET
