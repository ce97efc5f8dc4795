"""Saying something to an agent, and hearing what comes of it."""

from datetime import timedelta

from agent_runtime.errors import (
    BudgetExhaustedError,
    ModelBrokeOffError,
    ModelKeyMissingError,
    ModelRefusedError,
    ModelSilentError,
    ModelUnavailableError,
    ModelUnknownError,
    TokenBudgetExhaustedError,
)
from agent_runtime.ports import Estimate, ModelName, RunStatus, TurnRequest, TurnResult, Usage
from agent_runtime.runs import errors
from agent_runtime.runs.domain.answers import Answered, Unfinished
from agent_runtime.runs.domain.runs import Run
from agent_runtime.runs.usecases.turns import Turns
from shoal.errors import AppError

_FAILURES: dict[str, type[AppError]] = {
    kind.code: kind
    for kind in (
        BudgetExhaustedError,
        TokenBudgetExhaustedError,
        errors.AgentStoppedError,
        ModelUnknownError,
        ModelKeyMissingError,
        ModelUnavailableError,
        ModelRefusedError,
        ModelBrokeOffError,
        ModelSilentError,
        errors.RunTooLongError,
        errors.TooManyStepsError,
    )
}


_SPENT = frozenset({BudgetExhaustedError.code, TokenBudgetExhaustedError.code})


class Messages:
    """What people say, one message at a time.

    Args:
        usage: Tells when budgets begin anew.
        timeout: How long somebody who waits for an answer is made to wait; the run itself goes on.
    """

    def __init__(self, *, turns: Turns, usage: Usage, timeout: timedelta) -> None:
        self._turns = turns
        self._usage = usage
        self._max_s = timeout.total_seconds()

    async def ask(self, request: TurnRequest) -> Answered | Unfinished:
        """Say something, and wait for the answer.

        Raises:
            AppError: There is none; why. Else as `Turns.start`.
        """
        result = await self._turns.ask(request, timeout_s=self._max_s)
        if result.status is RunStatus.FAILED:
            raise await self._failure(request.account_id, result)
        _refuse_unless_told(result)
        if result.message is not None and result.status is RunStatus.COMPLETED:
            return Answered(result.message)
        return Unfinished(*await self._turns.show(request.account_id, result.run_id))

    async def leave(self, request: TurnRequest) -> Run:
        """Say something, and do not wait.

        Raises:
            As `Turns.start`.
        """
        run, _ = await self._turns.show(request.account_id, await self._turns.start(request))
        return run

    async def _failure(self, account_id: str, result: TurnResult) -> AppError:
        """Say why a turn failed, and of a budget when to come again."""
        kind = _FAILURES.get(result.error_code, errors.RunFailedError)
        retry_after_s = None
        if result.error_code in _SPENT:
            run, _ = await self._turns.show(account_id, result.run_id)
            retry_after_s = await self._usage.retry_after_s(_estimate(run))
        return kind(result.error or None, retry_after_s=retry_after_s)


def _estimate(run: Run) -> Estimate:
    """Name whose budgets a run counts against."""
    return Estimate(
        account_id=run.account_id,
        agent_id=run.agent_id,
        session_key=run.session_key,
        credential_id=run.credential_id,
        run_id=run.id,
        model=ModelName.parse(run.model),
        input_tokens=0,
        output_tokens=0,
    )


def _refuse_unless_told(result: TurnResult) -> None:
    """Refuse when the turn ended without an answer, by somebody's hand."""
    if result.status is RunStatus.CANCELLED:
        raise errors.RunCancelledError
    if result.status is RunStatus.INTERRUPTED:
        raise errors.RunInterruptedError
