"""What browsers are shown."""

from typing import Any, Protocol

from msgspec import Struct


class Frame(Struct, frozen=True):
    """Something for the browsers of an account, sent as `{"type", "topic", "data", …data}`.

    Args:
        account_id: Whose browsers.
        topic: What one subscribes to: `agent:status`, `chat:message`, `canvas:update`, `pipeline:stage`,
            `delegation:update`, or `session:<key>`, whose frames go to subscribers of that session alone.
        type: By what a page tells frames apart, such as `stream_chunk`.
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
