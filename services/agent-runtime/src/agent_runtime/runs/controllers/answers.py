"""How a turn's result becomes an answer, or a refusal."""

from agent_runtime.errors import BudgetExhaustedError, TokenBudgetExhaustedError
from agent_runtime.ports import RunStatus, TurnResult
from agent_runtime.runs import errors
from shoal.errors import AppError

_FAILURES: dict[str, type[AppError]] = {
    kind.code: kind
    for kind in (
        BudgetExhaustedError,
        TokenBudgetExhaustedError,
        errors.AgentStoppedError,
        errors.ModelUnknownError,
        errors.ModelUnavailableError,
        errors.ModelRefusedError,
        errors.ModelBrokeOffError,
        errors.ModelSilentError,
        errors.RunTooLongError,
        errors.TooManyStepsError,
    )
}


def refuse_unless_told(result: TurnResult) -> None:
    """Refuse when the turn ended without an answer.

    Raises:
        AppError: It did; why.
    """
    if result.status is RunStatus.FAILED:
        raise _FAILURES.get(result.error_code, errors.RunFailedError)(result.error or None)
    if result.status is RunStatus.CANCELLED:
        raise errors.RunCancelledError
    if result.status is RunStatus.INTERRUPTED:
        raise errors.RunInterruptedError
