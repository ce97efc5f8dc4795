"""What agents did, as it is counted and told."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct


class Tally(Struct, frozen=True, kw_only=True):
    """What an agent did since it was counted for the first time; `made` is the sample that was made last."""

    account_id: str
    agent_id: str
    epoch: str
    seq: int
    messages_total: int
    errors_total: int
    tokens_total: int
    response_ms: tuple[float, ...]
    created_at: datetime
    changed_at: datetime
    made: Mapping[str, Any] | None
    active_sessions: int


class UnsentSample(Struct, frozen=True, kw_only=True):
    """A sample that is not known to be stored yet, and what ends the pause before it, if there was one."""

    account_id: str
    agent_id: str
    epoch: str
    seq: int
    pause: Mapping[str, Any] | None
    sample: Mapping[str, Any]
