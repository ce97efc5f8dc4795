"""Letting people decide about tool calls."""

from collections.abc import Sequence

from agent_runtime.ports import RunStatus
from agent_runtime.runs.errors import NothingToDecideError
from agent_runtime.runs.repositories.runs import RunRepository
from agent_runtime.runs.usecases.decisions import decide
from agent_runtime.runs.usecases.recorder import Records
from agent_runtime.runs.usecases.worker import Worker
from shoal.database import Database


class Approvals:
    """Approving and denying. A run goes on once nothing of it waits any more."""

    def __init__(self, *, database: Database, records: Records, worker: Worker) -> None:
        self._database = database
        self._records = records
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
            await decide(tx, run, ids, is_approved=is_approved, by=by, recorder=self._records.of(run))
        self._worker.poke(run.session_id)
