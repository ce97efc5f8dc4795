"""What the clock does with jobs."""

from datetime import datetime, timedelta

import structlog

from agent_runtime.cron.domain.firings import (
    MAX_UNFINISHED,
    Firing,
    FiringKind,
    FiringStatus,
    Job,
    JobStatus,
    due_ticks,
)
from agent_runtime.cron.errors import JobNotFoundError
from agent_runtime.cron.repositories import FiringRepository, JobRepository
from agent_runtime.ports import RunStatus, TurnRequest, Turns
from shoal.database import Database, Transaction
from shoal.errors import AppError, UnavailableError
from shoal.ids import new_id
from shoal.leases import Lease, Leases
from shoal.outbox import Outbox
from shoal_events import CronFinished, CronFired

KEPT = timedelta(days=30)
"""How long ended firings are shown."""
_CLAIMED_AT_ONCE = 50
_LOOKED_AT = 200
_MAX_ERROR = 1000


class Firings:
    """What the clock does with jobs: claim what is due, start its turns, note how they end.

    Three steps, each safe to repeat: a tick is claimed in one transaction with the job's next time; a claimed firing
    is started under its own id as the turn's key, so that starting it twice starts one turn; a running one is noted
    as over once its run is.
    """

    def __init__(self, *, database: Database, leases: Leases, outbox: Outbox, turns: Turns, grace: timedelta) -> None:
        self._database = database
        self._leases = leases
        self._outbox = outbox
        self._turns = turns
        self._grace = grace
        self._looked_at = ""
        """The last running firing that was looked at; empty when all were."""

    async def claim_due(self, lease: Lease) -> int:
        """Claim the ticks of jobs whose time has come; returns of how many jobs.

        Raises:
            LeaseLostError: Another replica claims now; nothing was claimed.
        """
        async with self._database.transaction() as tx:
            await self._leases.held(tx, lease)
            jobs = JobRepository(tx)
            due = await jobs.lock_due(_CLAIMED_AT_ONCE)
            for job in due:
                plan = due_ticks(job, now=await jobs.now(), grace=self._grace)
                for tick in plan.ticks:
                    await self._claim(tx, job, tick)
                await jobs.move(job.id, plan.next_run)
        return len(due)

    async def advance(self) -> int:
        """Start what was claimed and settle what is over; returns how many firings are still under way."""
        async with self._database.reading() as database:
            claimed = await FiringRepository(database).claimed(_LOOKED_AT)
            running = await FiringRepository(database).running(_LOOKED_AT, after=self._looked_at)
        self._looked_at = running[-1].id if len(running) == _LOOKED_AT else ""  # many that wait must not hide others
        left = 0
        for firing in (*claimed, *running):
            try:
                is_over = await (self._start(firing) if firing.status is FiringStatus.CLAIMED else self._settle(firing))
            except Exception as error:  # noqa: BLE001 - one firing that fails must not hold up the others
                is_over = False
                structlog.get_logger().error("firing_failed", firing=firing.id, error=repr(error), exc_info=error)
            left += not is_over
        return left

    async def seconds_until_due(self) -> float | None:
        """Tell after how many seconds the next job is due; None while none is."""
        async with self._database.reading() as database:
            return await JobRepository(database).seconds_until_due()

    async def forget_old(self) -> None:
        """Delete firings that ended long ago."""
        forgotten = 1
        while forgotten:
            async with self._database.transaction() as tx:
                forgotten = await FiringRepository(tx).forget_old(KEPT)

    async def _claim(self, tx: Transaction, job: Job, tick: datetime) -> None:
        jobs, firings = JobRepository(tx), FiringRepository(tx)
        is_free = await firings.count_unfinished(job.id) < MAX_UNFINISHED
        status = FiringStatus.CLAIMED if is_free else FiringStatus.SKIPPED
        reason = "" if is_free else f"{MAX_UNFINISHED} earlier firings are not over"
        firing_id = new_id("fire")
        if not await firings.claim(firing_id, job, FiringKind.TICK, tick, status, reason) or not is_free:
            return
        version = await jobs.note(job.id, JobStatus.RUNNING, has_fired=True)
        fact = CronFired(
            job_id=job.id,
            account_id=job.account_id,
            firing_id=firing_id,
            kind=FiringKind.TICK,
            due_at=tick,
            version=version,
        )
        await self._outbox.append(tx, fact)

    async def _start(self, firing: Firing) -> bool:
        """Start a claimed firing's turn; returns whether that already was its end."""
        request = TurnRequest(
            account_id=firing.account_id,
            content=firing.prompt,
            session_key=firing.session,
            agent_id=firing.agent_id,
            is_session_made=True,
            idempotency_key=firing.id,
            origin="cron",
            by="service:agent-runtime",
        )
        try:
            run_id = await self._turns.start(request)
        except UnavailableError:
            return False  # claimed it stays, and is started by a later pass
        except AppError as error:
            await self._end(firing, FiringStatus.FAILED, error.message)
            return True
        async with self._database.transaction() as tx:
            await FiringRepository(tx).start(firing.id, run_id)
        return False

    async def _settle(self, firing: Firing) -> bool:
        """Note how a firing ended, if it has; returns whether it has."""
        try:
            result = await self._turns.wait(firing.account_id, firing.run_id, timeout_s=0)
        except UnavailableError:
            return False
        except AppError as error:
            await self._end(firing, FiringStatus.FAILED, error.message)
            return True
        if not result.status.is_over:
            return False
        is_completed = result.status is RunStatus.COMPLETED
        error_payload = "" if is_completed else result.error or f"The run was {result.status}."
        await self._end(firing, FiringStatus.COMPLETED if is_completed else FiringStatus.FAILED, error_payload)
        return True

    async def _end(self, firing: Firing, status: FiringStatus, error: str) -> None:
        told = error[:_MAX_ERROR]
        async with self._database.transaction() as tx:
            jobs, firings = JobRepository(tx), FiringRepository(tx)
            try:
                await jobs.lock(firing.account_id, firing.job_id)
            except JobNotFoundError:
                return  # deleted meanwhile, its firings with it
            if not await firings.end(firing.id, status, told):
                return
            is_last = await firings.count_unfinished(firing.job_id) == 0
            ended = JobStatus.FAILED if status is FiringStatus.FAILED else JobStatus.IDLE
            version = await jobs.note(firing.job_id, ended if is_last else JobStatus.RUNNING, error=told)
            fact = CronFinished(
                job_id=firing.job_id,
                account_id=firing.account_id,
                firing_id=firing.id,
                status=status,
                version=version,
                run_id=firing.run_id or None,
                error=told or None,
            )
            await self._outbox.append(tx, fact)
