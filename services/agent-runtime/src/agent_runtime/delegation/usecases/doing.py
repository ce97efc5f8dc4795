"""Having work done by runs, each in a session of its own."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import structlog

from agent_runtime.delegation.domain.tasks import Task, TaskResult, TaskStatus
from agent_runtime.ports import Assignment, RunStatus, Sessions, TurnRequest, TurnResult, Turns
from shoal.errors import AppError, UnavailableError

_LOOK_S = 5.0
_APPROVAL_S = 0.5


class Doing:
    """Starts runs that do work, and waits for them.

    Args:
        turns: Gives the way to an agent's answer; asked only when work is handed on, since turns themselves hand on.
        sessions: Tell whose agent hands on, who does it too.
        timeout: How long a piece of work may take.
    """

    def __init__(self, *, turns: Callable[[], Turns], sessions: Sessions, timeout: timedelta) -> None:
        self._turns = turns
        self._sessions = sessions
        self.timeout = timeout

    async def start(self, assignment: Assignment, task: Task) -> str:
        """Have a run begin that does a task; returns the run.

        Raises:
            AppError: None can.
        """
        return await self._turns().start(
            TurnRequest(
                account_id=task.account_id,
                content=assignment.task,
                session_key=task.task_id,
                agent_id=await self._sessions.agent_of(task.account_id, assignment.session_key),
                is_session_made=True,
                idempotency_key=task.task_id,
                origin="delegation",
                by="service:agent-runtime",
                model=task.target,
                parent_run_id=assignment.run_id,
            )
        )

    async def wait(self, account_id: str, run_id: str) -> TaskResult:
        """Wait until a run is over.

        Raises:
            AppError: That cannot be told.
        """
        turns = self._turns()
        while True:
            result = await turns.wait(account_id, run_id, timeout_s=_LOOK_S)
            if result.status.is_over:
                return _result_of(result)
            if result.status is RunStatus.PENDING_APPROVAL:  # which `wait` does not wait for
                await asyncio.sleep(_APPROVAL_S)

    async def cancel(self, account_id: str, run_id: str) -> None:
        """End a run, if one has begun."""
        if not run_id:
            return
        try:
            await self._turns().cancel(account_id, run_id)
        except AppError as error:
            structlog.get_logger().warning("delegation_not_cancelled", run_id=run_id, error=error.message)

    async def look(self, task: Task) -> TaskResult | None:
        """Look how a piece of work ended for which nobody may be waiting; None while it goes on."""
        if not task.child_run_id:
            return TaskResult.failed("It was interrupted before it began.")
        try:
            result = await self._turns().wait(task.account_id, task.child_run_id, timeout_s=0)
        except UnavailableError:
            return None
        except AppError as error:
            return TaskResult.failed(error.message)
        return _result_of(result) if result.status.is_over else None


def _result_of(result: TurnResult) -> TaskResult:
    if result.status is RunStatus.COMPLETED and result.message is not None:
        return TaskResult(TaskStatus.COMPLETED, result.message.content)
    return TaskResult.failed(result.error or f"The run was {result.status}.")
