"""What browsers are shown."""

from enum import StrEnum
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from agent_runtime.ports.sessions import Message


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


class Frames(Protocol):
    """The way to every browser, whichever process holds its socket."""

    async def publish(self, frame: Frame) -> None:
        """Send to whoever listens right now; nothing is kept, nothing is raised."""
        ...


def session_topic(session_key: str) -> str:
    """Name the topic of one session's frames."""
    return f"session:{session_key}"


def message_payload(message: Message) -> dict[str, Any]:
    """Tell a message as frames and events do: live, and in what is told of it later."""
    return {
        "id": message.id,
        "role": message.role,
        "content": message.content,
        "timestamp": msgspec.to_builtins(message.timestamp),
        "tool_calls": [
            {"id": call.id, "name": call.name, "arguments": call.arguments}
            | ({} if call.result is None else {"result": call.result})
            | ({"is_error": True} if call.is_error else {})
            for call in message.tool_calls
        ],
        "run_id": message.run_id,
        "incomplete": message.is_incomplete,
    }
