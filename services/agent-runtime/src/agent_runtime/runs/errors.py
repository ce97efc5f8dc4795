"""What can be wrong with a run."""

from shoal.errors import (
    AppError,
    ConflictError,
    TimedOutError,
    UnavailableError,
)


class SessionBusyError(ConflictError):
    """The session is busy with another message."""

    code = "session_busy"


class AgentStoppedError(ConflictError):
    """The agent is stopped; start it first."""

    code = "agent_stopped"


class IdempotencyKeyReusedError(ConflictError):
    """This Idempotency-Key came with another message before."""

    code = "idempotency_key_reused"


class NothingToDecideError(ConflictError):
    """No tool call of this run waits for a decision."""

    code = "nothing_to_decide"


class RunTooLongError(TimedOutError):
    """The run took longer than runs may."""

    code = "run_too_long"


class TooManyStepsError(AppError):
    """The agent called tools more often than one turn may."""

    code = "too_many_steps"
    status = 502


class RunFailedError(AppError):
    """The agent could not answer."""

    code = "run_failed"
    status = 502


class RunCancelledError(ConflictError):
    """The run was cancelled before the agent had answered."""

    code = "run_cancelled"


class RunInterruptedError(UnavailableError):
    """The process that answered ended before the agent did; send the message again."""

    code = "run_interrupted"
