"""The reconciler: rows become instances, wherever its lease is.

Level-triggered: each step compares all of an instance with its row, so that a missed hint costs time and nothing else.
Woken by a change of a row (LISTEN, with a poll as the truth), by the backend's hints, and for every instance by a
resync. One step per instance at a time; a failed one is tried again after a growing pause.
"""

import asyncio
import contextlib
from datetime import timedelta

import asyncpg
import structlog

from instance_orchestrator.clients.backend import Backend, BackendUnavailableError
from instance_orchestrator.instruments import Instruments
from instance_orchestrator.jobs.queue import WorkQueue
from instance_orchestrator.usecases.convergence import Convergence
from instance_orchestrator.usecases.instances import WORK
from shoal.database import Database, DatabaseUnavailableError
from shoal.leases import Lease, LeaseLostError, Leases

LEASE = "reconciler"
POLL_S = 1.0


class Reconciler:
    """Brings every instance to what it should be, for ever."""

    name = "reconciler"

    def __init__(
        self,
        *,
        database: Database,
        leases: Leases,
        backend: Backend,
        convergence: Convergence,
        concurrency: int,
        resync: timedelta,
        instruments: Instruments,
    ) -> None:
        self._database = database
        self._leases = leases
        self._backend = backend
        self._convergence = convergence
        self._concurrency = concurrency
        self._resync_s = resync.total_seconds()
        self._instruments = instruments

    def problem(self) -> str | None:
        """Requests are answered whether or not the backend can be reached."""
        return None

    async def run(self) -> None:
        """Reconcile wherever the lease is."""
        try:
            await self._leases.act_alone(LEASE, self._reconcile)
        finally:
            await self._backend.close()

    async def _reconcile(self, lease: Lease) -> None:
        queue, woken = WorkQueue(), asyncio.Event()
        connection = await self._database.listen(WORK, woken.set)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch(queue))
                tasks.create_task(self._find_work(queue, woken))
                tasks.create_task(self._look_at_all(queue))
                for _ in range(self._concurrency):
                    tasks.create_task(self._work(queue, lease))
        finally:
            queue.close()
            self._instruments.note_unfinished(())  # whoever reconciles next knows
            with contextlib.suppress(OSError, asyncpg.InterfaceError, TimeoutError):
                await connection.close(timeout=1)

    async def _work(self, queue: WorkQueue, lease: Lease) -> None:
        while True:
            instance_id = await queue.take()
            try:
                is_done = await self._convergence.step(instance_id, lease)
            except LeaseLostError:
                raise
            except (BackendUnavailableError, DatabaseUnavailableError) as error:
                pause = queue.failed(instance_id)
                structlog.get_logger().warning(
                    "instance_waits", instance_id=instance_id, reason=str(error), again_s=round(pause, 1)
                )
            except Exception as error:  # noqa: BLE001 - one instance that fails must not stop the others
                queue.failed(instance_id)
                structlog.get_logger().error(
                    "instance_failed", instance_id=instance_id, error=repr(error), exc_info=error
                )
            else:
                if is_done:
                    queue.done(instance_id)
                else:
                    queue.failed(instance_id)

    async def _watch(self, queue: WorkQueue) -> None:
        while True:
            try:
                await self._backend.watch(queue.add)
            except BackendUnavailableError as error:
                structlog.get_logger().warning("backend_unavailable", reason=str(error))
            await asyncio.sleep(POLL_S)

    async def _find_work(self, queue: WorkQueue, woken: asyncio.Event) -> None:
        while True:
            woken.clear()
            with contextlib.suppress(DatabaseUnavailableError):
                unfinished = await self._convergence.unfinished()
                self._instruments.note_unfinished(unfinished)
                queue.add(*(one for one in unfinished if not queue.is_trying_again(one)))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), POLL_S)

    async def _look_at_all(self, queue: WorkQueue) -> None:
        while True:
            try:
                known = await self._convergence.known()
                queue.add(*known)
                await self._backend.sweep(known)
            except (BackendUnavailableError, DatabaseUnavailableError) as error:
                structlog.get_logger().warning("resync_failed", reason=str(error))
            await asyncio.sleep(self._resync_s)
