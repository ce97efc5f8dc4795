"""What browsers are shown."""

from enum import StrEnum
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from agent_runtime.ports.sessions import Message, MessageView


class Topic(StrEnum):
    """What one subscribes to, beside the topics of single sessions; the first five are the contract's."""

    AGENT_STATUS = "agent:status"
    CHAT_MESSAGE = "chat:message"
    CANVAS_UPDATE = "canvas:update"
    PIPELINE_STAGE = "pipeline:stage"
    DELEGATION_UPDATE = "delegation:update"
    CHANNELS = "channels"
    VOICE_STATUS = "voice:status"


class Frame(Struct, frozen=True):
    """Something for the browsers of an account, sent as `{"type", "topic", "data", …data}`.

    Args:
        account_id: Whose browsers.
        topic: A `Topic`, or `session:<key>`, whose frames go to subscribers of that session alone.
        type: By what a page tells frames apart, such as `stream_chunk`; mostly the topic's own name.
        data: The payload, as JSON values.
    """

    account_id: str
    topic: str
    type: str
    data: dict[str, Any]

    @classmethod
    def of(cls, account_id: str, topic: Topic, payload: Struct) -> "Frame":
        """Write a payload as a frame of the topic's own type."""
        return cls(account_id, topic, topic, msgspec.to_builtins(payload))


class Said(Struct, frozen=True):
    """What is read of the payload of `chat:message`, which is a `MessageView` and where the message was said."""

    role: str = ""
    content: str = ""
    session_key: str = ""
    timestamp: str = ""
    origin: str = "web"

    @classmethod
    def of(cls, frame: Frame) -> "Said":
        """Read a frame of the topic `chat:message`."""
        return msgspec.convert(frame.data, cls)


class Frames(Protocol):
    """The way to every browser, whichever process holds its socket."""

    async def publish(self, frame: Frame) -> None:
        """Send to whoever listens right now; nothing is kept, nothing is raised."""
        ...


def session_topic(session_key: str) -> str:
    """Name the topic of one session's frames."""
    return f"session:{session_key}"


def message_payload(message: Message) -> dict[str, Any]:
    """Write a `MessageView` as JSON values, for frames and for the events of runs."""
    payload: dict[str, Any] = msgspec.to_builtins(MessageView.from_domain(message))
    return payload
