"""How far a run came, and how it ends."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from agent_runtime.ports import RunStatus, TimedTurn
from agent_runtime.runs.domain.runs import CallRecord, RunEvent, StepRecord
from agent_runtime.runs.errors import RunCancelledError, RunInterruptedError


class Progress(Struct, frozen=True):
    """What was said and done in a run."""

    steps: Sequence[StepRecord]
    calls: Sequence[CallRecord]
    rest: str = ""


class End(Struct, frozen=True, kw_only=True):
    """How a run ends without its answer.

    Args:
        status: Failed, cancelled or interrupted.
        code: Why it came to no answer.
        error: The same for people.
        timed: How long the turn took, where it came to nothing by itself.
        spent_ms: How long it was done since it was taken the last time.
    """

    status: RunStatus
    code: str = ""
    error: str = ""
    timed: TimedTurn | None = None
    spent_ms: float = 0

    @property
    def payload(self) -> dict[str, Any]:
        """What the run's last event tells of it."""
        return {"error": {"code": self.code, "message": self.error}} if self.code else {}


CANCELLED = End(status=RunStatus.CANCELLED, code=RunCancelledError.code, error=RunCancelledError().message)
INTERRUPTED = End(status=RunStatus.INTERRUPTED, code=RunInterruptedError.code, error=RunInterruptedError().message)


class Completion(Struct, frozen=True, kw_only=True):
    """How a run came to its answer.

    Args:
        step: What the model said last.
        events: What is told of the run at its end.
        complexity: How complex its task was, 0 to 1.
        tier: What kind of model that asked for.
        score: How well it went, 0 to 1.
        latency_ms: How long it took, from its beginning.
        tokens: What its last call of a model took.
        counting: Names the agent's counting, if this is the first turn that is counted.
    """

    step: StepRecord
    events: Sequence[RunEvent]
    complexity: float
    tier: int
    score: float
    latency_ms: float
    tokens: int
    counting: str


class Completed(Struct, frozen=True):
    """A run that has its answer: its row's new version, and whether another run of its session waits to be taken."""

    version: int
    is_followed: bool
