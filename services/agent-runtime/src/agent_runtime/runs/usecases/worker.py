"""Doing runs in this process, for as long as it is known to live.

The worker holds one lease; every run that it takes carries the lease's epoch. While it lives it takes runs that wait,
ends those that somebody wants ended, and those of workers that have died. When it stops, or is taken for dead, its own
runs end as `interrupted`, by itself if it can and else by the next worker that looks.
"""

import asyncio
import contextlib

import structlog

from agent_runtime.errors import RunNotFoundError
from agent_runtime.ports import RunStatus
from agent_runtime.runs.clients.live import Live
from agent_runtime.runs.domain.endings import CANCELLED, INTERRUPTED, End
from agent_runtime.runs.domain.work_items import WorkKind
from agent_runtime.runs.repositories.runs import RunRepository
from agent_runtime.runs.repositories.work_items import WorkItemRepository
from agent_runtime.runs.usecases.beginnings import Beginnings, ClaimedRun
from agent_runtime.runs.usecases.engine import Engine
from agent_runtime.runs.usecases.sweeping import Sweeping
from shoal.database import Database, DatabaseUnavailableError
from shoal.leases import Lease, LeaseLostError, Leases

POLL_S = 1.0
_BATCH = 50
_PARTING_S = 4.0


class Worker:
    """The component that does runs.

    Args:
        process: Names this process among the workers.
        database: Where runs are.
        leases: Who lives; their term is how long a dead process keeps its runs.
        live: Hears that runs are wanted ended.
        beginnings: Takes runs.
        engine: Does one run.
        sweeping: Ends what nobody else will.
    """

    name = "worker"

    def __init__(
        self,
        *,
        process: str,
        database: Database,
        leases: Leases,
        live: Live,
        beginnings: Beginnings,
        engine: Engine,
        sweeping: Sweeping,
    ) -> None:
        self._key = f"worker:{process}"
        self._database = database
        self._leases = leases
        self._live = live
        self._beginnings = beginnings
        self._engine = engine
        self._sweeping = sweeping
        self._lease: Lease | None = None
        self._sessions: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._adopted: dict[str, list[ClaimedRun]] = {}
        self._runs: dict[str, asyncio.Task[bool]] = {}
        self._wanted_ended: set[str] = set()
        self._unattended: set[str] = set()

    def problem(self) -> str | None:
        """Runs wait while there is no lease; questions are answered all the same."""
        return None

    async def run(self) -> None:
        """Work for ever."""
        await self._leases.act_alone(self._key, self._work)

    def poke(self, session_id: str) -> None:
        """Look at once whether a session has a run to be taken."""
        if self._lease is None:
            return
        if session_id in self._sessions:
            self._again.add(session_id)
            return
        self._sessions[session_id] = asyncio.create_task(self._serve(session_id))

    def lease_for(self, session_id: str) -> Lease | None:
        """Give the lease under which a session's run may be taken here at once; None while that may not be.

        Whoever takes a run under it hands that to `adopt` once it is committed.
        """
        return None if session_id in self._sessions else self._lease

    def adopt(self, claimed: ClaimedRun) -> None:
        """Do a run that was taken."""
        session_id = claimed.run.session_id
        self._adopted.setdefault(session_id, []).append(claimed)
        self._again.add(session_id)
        if session_id not in self._sessions:
            self._sessions[session_id] = asyncio.create_task(self._serve(session_id))

    def cancel(self, run_id: str) -> bool:
        """End a run, if it is done here; False when it is not."""
        task = self._runs.get(run_id)
        if task is None:
            return False
        self._wanted_ended.add(run_id)
        task.cancel()
        return True

    async def _work(self, lease: Lease) -> None:
        self._lease = lease
        hearing = None
        try:
            while True:
                hearing = hearing or await self._live.hear_cancels(self.cancel)
                with contextlib.suppress(DatabaseUnavailableError):
                    await self._look_around()
                await asyncio.sleep(POLL_S)
        finally:
            self._lease = None
            if hearing is not None:
                with contextlib.suppress(Exception):
                    await asyncio.shield(hearing.unsubscribe())
            await self._part()

    async def _look_around(self) -> None:
        """See to everything that needs somebody; one statement finds it, since mostly there is nothing."""
        async with self._database.reading() as database:
            work_items = await WorkItemRepository(database).work_items(self._key, _BATCH)
        seen: dict[WorkKind, set[str]] = {}
        for work_item in work_items:
            seen.setdefault(work_item.kind, set()).add(work_item.id)
        for session_id in seen.get(WorkKind.WAITING, ()):
            self.poke(session_id)
        for run_id in seen.get(WorkKind.UNWANTED, ()):
            self.cancel(run_id)
        own = seen.get(WorkKind.OWN, set()) | seen.get(WorkKind.UNWANTED, set())
        await self._let_go({run_id for run_id in own if run_id not in self._runs})
        for run_id in seen.get(WorkKind.ABANDONED, ()):
            self.poke(await self._sweeping.interrupt(run_id))
        for run_id in seen.get(WorkKind.EXPIRED, ()):
            self.poke(await self._sweeping.deny_expired(run_id))

    async def _let_go(self, unattended: set[str]) -> None:
        """Leave runs to be interrupted that are this worker's and that nothing here does: their storing failed."""
        lost, self._unattended = unattended & self._unattended, unattended - self._unattended
        if lost:
            structlog.get_logger().error("runs_unattended", run_ids=sorted(lost))
            async with self._database.transaction() as tx:
                await RunRepository(tx).disown(list(lost))

    async def _part(self) -> None:
        """End what is being done; waits for it, however often this is cancelled meanwhile."""
        self._adopted.clear()
        for task in self._runs.values():
            task.cancel()
        deadline = asyncio.get_running_loop().time() + _PARTING_S
        while self._sessions and asyncio.get_running_loop().time() < deadline:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait(self._sessions.values(), timeout=0.1)

    async def _serve(self, session_id: str) -> None:
        """Do a session's runs, one after the other, until none waits."""
        try:
            while (lease := self._lease) is not None:
                self._again.discard(session_id)
                adopted = self._adopted.pop(session_id, None)
                claimed = adopted.pop(0) if adopted else await self._beginnings.take(session_id, lease)
                if adopted:
                    self._adopted[session_id] = adopted
                may_go_on = claimed is not None and await self._do(claimed)
                if not (may_go_on or session_id in self._again or session_id in self._adopted):
                    break
        except DatabaseUnavailableError:
            pass  # the next look around finds the session
        except Exception as error:  # noqa: BLE001 - a run that cannot be ended must not keep others from beginning
            structlog.get_logger().error("session_broke", session_id=session_id, error=repr(error), exc_info=error)
        finally:
            del self._sessions[session_id]
            self._again.discard(session_id)

    async def _do(self, claimed: ClaimedRun) -> bool:
        """Do one run, whatever comes of it; returns whether another of its session may wait."""
        run_id = claimed.run.id
        task = self._runs[run_id] = asyncio.create_task(self._engine.perform(claimed))
        try:
            await asyncio.wait({task})
            if task.cancelled():
                is_wanted = run_id in self._wanted_ended
                await self._engine.break_off(claimed, CANCELLED if is_wanted else INTERRUPTED)
            elif (error := task.exception()) is not None:
                await self._failed(claimed, error)
            else:
                return task.result()
        except (DatabaseUnavailableError, LeaseLostError, RunNotFoundError) as error:
            structlog.get_logger().warning("run_left", run_id=run_id, error=repr(error))
        finally:
            del self._runs[run_id]
            self._wanted_ended.discard(run_id)
            await claimed.recorder.close()
            structlog.get_logger().info("run_done", run_id=run_id)
        return True

    async def _failed(self, claimed: ClaimedRun, error: BaseException) -> None:
        if isinstance(error, DatabaseUnavailableError | LeaseLostError | RunNotFoundError):
            raise error
        structlog.get_logger().error("run_broke", run_id=claimed.run.id, error=repr(error), exc_info=error)
        end = End(status=RunStatus.FAILED, code="internal_error", error="Something went wrong on our side.")
        await self._engine.break_off(claimed, end)
