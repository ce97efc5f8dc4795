"""What a socket is answered with, beside the frames of its account."""

from msgspec import UNSET, Struct, UnsetType


class Ref(Struct, frozen=True):
    """The frame that an answer is about, by its sender's own name for it."""

    id: str


class AcceptedFrame(Struct, frozen=True, tag_field="type", tag="accepted"):
    """A message was taken; this run answers it."""

    session_key: str
    run_id: str
    ref: Ref | UnsetType = UNSET


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
