"""Ending what nobody else will."""

from agent_runtime.ports import RunStatus
from agent_runtime.runs.domain.endings import INTERRUPTED
from agent_runtime.runs.repositories.runs import RunRepository
from agent_runtime.runs.usecases.decisions import TIMEOUT, decide
from agent_runtime.runs.usecases.endings import Endings
from agent_runtime.runs.usecases.recorder import Records
from shoal.database import Database

EVENTS_KEPT_DAYS = 30
_PIECE = 5000


class Sweeping:
    """Ends what dead workers left, denies what waited too long, forgets what nobody will resume."""

    def __init__(self, *, database: Database, endings: Endings, records: Records) -> None:
        self._database = database
        self._endings = endings
        self._records = records

    async def interrupt(self, run_id: str) -> str:
        """End a run as `interrupted`, if its worker is still dead; returns its session, which may go on."""
        async with self._database.transaction() as tx:
            run = await RunRepository(tx).lock(run_id)
            if run.status is RunStatus.RUNNING and await RunRepository(tx).is_abandoned(run_id):
                await self._endings.break_off(tx, run, INTERRUPTED)
        return run.session_id

    async def deny_expired(self, run_id: str) -> str:
        """Deny the calls of a run that have waited too long; returns its session, which may go on."""
        async with self._database.transaction() as tx:
            run = await RunRepository(tx).lock(run_id)
            if run.status is RunStatus.PENDING_APPROVAL:
                await decide(tx, run, None, is_approved=False, by=TIMEOUT, recorder=self._records.of(run))
        return run.session_id

    async def forget(self) -> None:
        """Delete the events of runs that ended long ago; what was said stays."""
        deleted = _PIECE
        while deleted == _PIECE:
            async with self._database.transaction() as tx:
                deleted = await RunRepository(tx).delete_ended(days=EVENTS_KEPT_DAYS, limit=_PIECE)
