"""What a session is."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from agent_runtime.ports import Message

KEY_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}\Z"
"""What a session may be named by: it stands in paths as it is."""


class Session(Struct, frozen=True, kw_only=True):
    """A chat between people and one agent; `version` counts what is told of it as facts."""

    id: str
    account_id: str
    key: str
    agent_id: str
    message_count: int
    version: int
    created_at: datetime
    updated_at: datetime


class Transcript(Struct, frozen=True):
    """A session with everything that was said, oldest first."""

    session: Session
    messages: Sequence[Message]
