"""Saying something to an agent, and hearing what comes of it."""

from collections.abc import Sequence
from datetime import timedelta

from msgspec import Struct

from agent_runtime.errors import BudgetExhaustedError, TokenBudgetExhaustedError
from agent_runtime.ports import Message, RunStatus, TurnRequest, TurnResult
from agent_runtime.runs import errors
from agent_runtime.runs.domain.runs import CallRecord, Run
from agent_runtime.runs.usecases.turns import Turns
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


class Answered(Struct, frozen=True):
    """The agent answered."""

    message: Message


class Unfinished(Struct, frozen=True):
    """The agent has not answered yet."""

    run: Run
    calls: Sequence[CallRecord]


class Messages:
    """What people say, one message at a time.

    Args:
        most: How long somebody who waits for an answer is made to wait; the run itself goes on.
    """

    def __init__(self, *, turns: Turns, most: timedelta) -> None:
        self._turns = turns
        self._most_s = most.total_seconds()

    async def ask(self, request: TurnRequest) -> Answered | Unfinished:
        """Say something, and wait for the answer.

        Raises:
            AppError: There is none; why. Else as `Turns.start`.
        """
        result = await self._turns.ask(request, timeout_s=self._most_s)
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


def _refuse_unless_told(result: TurnResult) -> None:
    """Refuse when the turn ended without an answer."""
    if result.status is RunStatus.FAILED:
        raise _FAILURES.get(result.error_code, errors.RunFailedError)(result.error or None)
    if result.status is RunStatus.CANCELLED:
        raise errors.RunCancelledError
    if result.status is RunStatus.INTERRUPTED:
        raise errors.RunInterruptedError
