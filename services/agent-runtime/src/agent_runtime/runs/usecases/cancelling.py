"""Wanting answers no more."""

from collections.abc import Iterable

from agent_runtime.ports import RunStatus
from agent_runtime.runs.clients.live import Live
from agent_runtime.runs.domain.endings import CANCELLED
from agent_runtime.runs.repositories.runs import RunRepository
from agent_runtime.runs.usecases.endings import Endings
from agent_runtime.runs.usecases.worker import Worker
from shoal.database import Database, Transaction


class Cancelling:
    """Ends runs: those that nobody does at once, others where they are done."""

    def __init__(self, *, database: Database, endings: Endings, worker: Worker, live: Live) -> None:
        self._database = database
        self._endings = endings
        self._worker = worker
        self._live = live

    async def end(self, run_id: str) -> bool:
        """End a run that has no worker, or ask its worker to; returns whether a worker must.

        Raises:
            RunNotFoundError: There is no such run.
        """
        async with self._database.transaction() as tx:
            is_running = await self.end_within(tx, run_id)
        if is_running:
            await self.end_running([run_id])
        return is_running

    async def end_within(self, tx: Transaction, run_id: str) -> bool:
        """Do the same inside a transaction, but for asking the worker, which is for after the commit.

        Raises:
            RunNotFoundError: There is no such run.
        """
        runs = RunRepository(tx)
        run = await runs.lock(run_id)
        if run.status is RunStatus.RUNNING:
            await runs.request_cancel(run_id)
            return True
        if not run.status.is_over:
            await self._endings.break_off(tx, run, CANCELLED)
        return False

    async def end_running(self, run_ids: Iterable[str]) -> None:
        """Ask the workers of runs to end them."""
        for run_id in run_ids:
            if not self._worker.cancel(run_id):
                await self._live.ask_cancel(run_id)

    async def children(self, run_id: str) -> Iterable[str]:
        """Find the runs that run on account of another, and are to end with it."""
        async with self._database.reading() as database:
            return await RunRepository(database).children(run_id)
