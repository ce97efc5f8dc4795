"""What comes of asking: a model, or an agent."""

from collections.abc import Sequence

from msgspec import Struct

from agent_runtime.ports import Message, ModelName, ToolCallDelta, UsageReport
from agent_runtime.runs.domain.runs import CallRecord, Run


class Answer(Struct, frozen=True, kw_only=True):
    """What a model answered, and what is set aside for it."""

    text: str
    calls: tuple[ToolCallDelta, ...]
    model: ModelName
    usage: UsageReport
    reservation: str


class Answered(Struct, frozen=True):
    """The agent answered."""

    message: Message


class Unfinished(Struct, frozen=True):
    """The agent has not answered yet."""

    run: Run
    calls: Sequence[CallRecord]
