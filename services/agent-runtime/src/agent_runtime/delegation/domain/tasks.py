"""Work that was handed on."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from shoal.clock import to_rfc3339

MAX_DEPTH = 3
"""How often handed-on work may be handed on again."""
MAX_ACTIVE = 100
"""How many pieces of an account's handed-on work go on at once, so that one message cannot begin hundreds of runs."""
MAX_ERROR = 2000


class TaskStatus(StrEnum):
    """The contract's status of a delegation."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self in {TaskStatus.COMPLETED, TaskStatus.FAILED}


class Choice(Struct, frozen=True, kw_only=True):
    """Who does some work.

    Args:
        target: A model as `provider/model`, or `agent-booster` for plain code.
        tier: 1 plain code, 2 a small model, 3 a large one.
        complexity: 0 to 1.
        rule: The rule that decided; empty when none did.
        boosted: What plain code made of it, since trying is how one knows that it can; None for models.
        fallback_reason: Why plain code does not do what a rule would have had it do; empty where none would.
    """

    target: str
    tier: int
    complexity: float
    rule: str = ""
    boosted: str | None = None
    fallback_reason: str = ""


class Task(Struct, frozen=True, kw_only=True):
    """One piece of work that was handed on.

    Args:
        session_key: Where it was handed on.
        run_id: By which run.
        child_run_id: Which run does it; empty where plain code did, or nobody yet.
        tool_name: What kind of work it is.
        target: Who does it: a model, or plain code.
        fallback_reason: Why plain code does not, where a rule would have had it; else empty.
        depth: 1, or more in a session that itself is a delegation's.
    """

    task_id: str
    account_id: str
    session_key: str
    run_id: str
    child_run_id: str
    tool_name: str
    target: str
    tier: int
    rule: str
    fallback_reason: str
    complexity: float
    depth: int
    status: TaskStatus
    error: str
    started_at: datetime
    completed_at: datetime | None

    def latency_ms(self, until: datetime | None = None) -> int | None:
        """Tell how long it took; while it goes on, how long until a moment, None where none is given."""
        end = self.completed_at or until
        return None if end is None else max(0, round((end - self.started_at).total_seconds() * 1000))


class TaskResult(Struct, frozen=True):
    """What came of a task: `completed` with its output, or `failed` with the reason in words."""

    status: TaskStatus
    output: str

    @classmethod
    def failed(cls, reason: str) -> "TaskResult":
        """Tell why nothing came of it."""
        return cls(TaskStatus.FAILED, reason)


class ActiveDelegation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is told of a task: the contract's `ActiveDelegation`, with what became of it."""

    task_id: str
    session_key: str
    target: str
    status: TaskStatus
    started_at: str
    tool_name: str
    complexity: float
    tier: int
    rule: str = ""
    fallback_reason: str = ""
    latency_ms: int | None = None
    completed_at: str | None = None
    error: str = ""

    @classmethod
    def of(cls, task: Task, *, until: datetime | None = None) -> "ActiveDelegation":
        """Tell a task in the contract's words, its times as RFC 3339; `until` when one that goes on has been timed."""
        return cls(
            task_id=task.task_id,
            session_key=task.session_key,
            target=task.target,
            status=task.status,
            started_at=to_rfc3339(task.started_at),
            tool_name=task.tool_name,
            complexity=task.complexity,
            tier=task.tier,
            rule=task.rule,
            fallback_reason=task.fallback_reason,
            latency_ms=task.latency_ms(until),
            completed_at=None if task.completed_at is None else to_rfc3339(task.completed_at),
            error=task.error,
        )


class History(Struct, frozen=True):
    """A page of what was handed on, the newest first."""

    items: list[Task]
    total: int
