"""Telling other services what becomes of runs."""

from collections.abc import Sequence
from typing import Any

from agent_runtime.ports import RunStatus, TimedTurn
from agent_runtime.runs.domain.runs import CallRecord, Run, StepRecord
from shoal.database import Transaction
from shoal.outbox import Outbox
from shoal_events import RunApprovalRequested, RunCancelled, RunCompleted, RunFailed, RunInterrupted, RunStarted


class Facts:
    """Records facts about runs in the transactions that make them true; `version` is the run's row's after that."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def started(self, tx: Transaction, run: Run) -> None:
        """Tell that a run was taken for the first time."""
        await self._outbox.append(tx, RunStarted(**_about(run, run.version), model=run.model))

    async def approval_requested(self, tx: Transaction, run: Run, version: int, waiting: Sequence[CallRecord]) -> None:
        """Tell that a run waits until people have decided about calls of tools."""
        tools = tuple(call.name for call in waiting)
        await self._outbox.append(tx, RunApprovalRequested(**_about(run, version), tools=tools))

    async def completed(
        self, tx: Transaction, run: Run, version: int, timed: TimedTurn, steps: Sequence[StepRecord]
    ) -> None:
        """Tell that a run has its answer."""
        fact = RunCompleted(
            **_about(run, version),
            model=timed.model,
            input_tokens=sum(step.input_tokens for step in steps),
            output_tokens=sum(step.output_tokens for step in steps),
            duration_ms=timed.latency_ms,
        )
        await self._outbox.append(tx, fact)

    async def broken_off(self, tx: Transaction, run: Run, version: int, status: RunStatus, *, code: str) -> None:
        """Tell that a run is over without its answer."""
        about = _about(run, version)
        if status is RunStatus.FAILED:
            await self._outbox.append(tx, RunFailed(**about, code=code))
        elif status is RunStatus.CANCELLED:
            await self._outbox.append(tx, RunCancelled(**about))
        else:
            await self._outbox.append(tx, RunInterrupted(**about))


def _about(run: Run, version: int) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "account_id": run.account_id,
        "agent_id": run.agent_id,
        "session_key": run.session_key,
        "version": version,
    }
