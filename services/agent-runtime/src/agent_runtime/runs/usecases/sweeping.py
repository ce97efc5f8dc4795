"""Looking after runs that nobody looks after."""

from agent_runtime.ports import RunStatus
from agent_runtime.runs.repositories.runs import RunRepository
from agent_runtime.runs.usecases.approvals import Approvals
from agent_runtime.runs.usecases.endings import Endings
from agent_runtime.runs.usecases.worker import Worker
from shoal.database import Database

_BATCH = 20
EVENTS_KEPT_DAYS = 30
_PIECE = 5000


class Sweeping:
    """Ends what dead workers left, denies what waited too long, forgets what nobody will resume."""

    def __init__(self, *, database: Database, endings: Endings) -> None:
        self._database = database
        self._endings = endings

    async def interrupt_abandoned(self, worker: Worker) -> None:
        """End the runs of dead workers as `interrupted`, and let their sessions go on."""
        async with self._database.reading() as database:
            abandoned = await RunRepository(database).abandoned(_BATCH)
        for run_id in abandoned:
            async with self._database.transaction() as tx:
                run = await RunRepository(tx).lock(run_id)
                if run.status is RunStatus.RUNNING and await RunRepository(tx).is_abandoned(run_id):
                    await self._endings.break_off(tx, run, RunStatus.INTERRUPTED, self._endings.recorder(run))
            worker.poke(run.session_id)

    async def sweep(self, worker: Worker, approvals: Approvals) -> None:
        """Do what a worker does besides, each time that it looks around."""
        await self.interrupt_abandoned(worker)
        await approvals.deny_expired()

    async def forget(self) -> None:
        """Delete the events of runs that ended long ago; what was said stays."""
        deleted = _PIECE
        while deleted == _PIECE:
            async with self._database.transaction() as tx:
                deleted = await RunRepository(tx).delete_ended(days=EVENTS_KEPT_DAYS, limit=_PIECE)
