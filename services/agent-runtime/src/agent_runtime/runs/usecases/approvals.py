"""Letting people decide about tool calls."""

from collections.abc import Sequence

from agent_runtime.ports import RunStatus
from agent_runtime.runs.domain.runs import DENIED, CallRecord, CallStatus, EventType, Run
from agent_runtime.runs.errors import NothingToDecideError
from agent_runtime.runs.repositories.course import CourseRepository
from agent_runtime.runs.repositories.runs import RunRepository
from agent_runtime.runs.usecases.acting import result_told
from agent_runtime.runs.usecases.endings import Endings
from agent_runtime.runs.usecases.worker import Worker
from shoal.database import Database, Transaction

TIMEOUT = "timeout"
"""Who decides when nobody did in time."""


class Approvals:
    """Approving and denying. A run goes on once nothing of it waits any more."""

    def __init__(self, *, database: Database, endings: Endings, worker: Worker) -> None:
        self._database = database
        self._endings = endings
        self._worker = worker

    async def decide(
        self, account_id: str, run_id: str, ids: Sequence[str] | None, *, is_approved: bool, by: str
    ) -> None:
        """Decide about calls of a run that wait; about all of them without ids.

        Raises:
            RunNotFoundError: There is no such run.
            NothingToDecideError: None of these calls waits.
        """
        async with self._database.transaction() as tx:
            await RunRepository(tx).get(account_id, run_id)
            run = await RunRepository(tx).lock(run_id)
            if run.status is not RunStatus.PENDING_APPROVAL:
                raise NothingToDecideError
            await self._decide(tx, run, ids, is_approved=is_approved, by=by)
        self._worker.poke(run.session_id)

    async def deny_expired(self) -> None:
        """Deny what has waited too long."""
        async with self._database.reading() as database:
            expired = await CourseRepository(database).expired(50)
        for run_id in expired:
            async with self._database.transaction() as tx:
                run = await RunRepository(tx).lock(run_id)
                if run.status is RunStatus.PENDING_APPROVAL:
                    await self._decide(tx, run, None, is_approved=False, by=TIMEOUT)
            self._worker.poke(run.session_id)

    async def _decide(
        self, tx: Transaction, run: Run, ids: Sequence[str] | None, *, is_approved: bool, by: str
    ) -> None:
        course = CourseRepository(tx)
        waiting = {call.id: call for call in await course.calls(run.id) if _waits(call)}
        chosen = [name for name in (waiting if ids is None else ids) if name in waiting]
        if not chosen:
            raise NothingToDecideError
        status = CallStatus.APPROVED if is_approved else CallStatus.DENIED
        await course.decide(run.id, chosen, status, by=by, result=None if is_approved else DENIED)
        recorder = self._endings.recorder(run)
        for name in chosen:
            told = {"tool_call_id": name, "name": waiting[name].name, "decision": str(status), "by": by}
            recorder.note(EventType.APPROVAL_DECIDED, told)
            if not is_approved:
                recorder.note(EventType.TOOL_RESULT, result_told(waiting[name], status, DENIED))
        await recorder.store(tx)
        if len(chosen) == len(waiting):
            await RunRepository(tx).move(run.id, RunStatus.QUEUED)


def _waits(call: CallRecord) -> bool:
    return call.status is CallStatus.PENDING_APPROVAL
