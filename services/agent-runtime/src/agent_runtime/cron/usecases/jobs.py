"""What people do with jobs."""

from datetime import timedelta
from typing import Any

import msgspec

from agent_runtime import quotas
from agent_runtime.cron.domain.firings import (
    MAX_JOBS,
    MAX_UNFINISHED,
    Firing,
    FiringKind,
    FiringStatus,
    Job,
    JobStatus,
    check_pace,
)
from agent_runtime.cron.domain.schedules import Schedule
from agent_runtime.cron.errors import JobBusyError, JobNotFoundError, TooManyJobsError
from agent_runtime.cron.repositories import FiringRepository, JobRepository
from agent_runtime.ports import Agents
from shoal.database import Database, Transaction
from shoal.ids import new_id
from shoal.outbox import Outbox
from shoal_events import CronFired

CHANNEL = "agent_runtime_cron"
"""Where whoever holds the lease hears that something is to be done."""


class Jobs:
    """Make, change and delete jobs, and have them fire."""

    def __init__(self, *, database: Database, agents: Agents, outbox: Outbox, least_pause: timedelta) -> None:
        self._database = database
        self._agents = agents
        self._outbox = outbox
        self._least_pause = least_pause

    async def list_for(self, account_id: str) -> list[Job]:
        """List an account's jobs, oldest first."""
        async with self._database.reading() as database:
            return await JobRepository(database).list_of(account_id)

    async def get(self, account_id: str, job_id: str) -> Job:
        """Read a job.

        Raises:
            JobNotFoundError: The account has none of this id.
        """
        async with self._database.reading() as database:
            return await JobRepository(database).get(account_id, job_id)

    async def history(self, account_id: str, job_id: str, *, limit: int) -> list[Firing]:
        """List a job's firings, the newest first.

        Raises:
            JobNotFoundError: The account has none of this id.
        """
        async with self._database.reading() as database:
            await JobRepository(database).get(account_id, job_id)
            return await FiringRepository(database).history(job_id, limit)

    async def create(self, job: Job) -> Job:
        """Add a job; its id and its times are made here.

        Raises:
            InvalidScheduleError: It has no schedule, or one that never fires or too often.
            AgentNotFoundError: There is no such agent.
            TooManyJobsError: The account has as many as it may.
        """
        if job.agent_id:
            await self._agents.get(job.account_id, job.agent_id)
        made = msgspec.structs.replace(job, id=new_id("cron"))
        async with self._database.transaction() as tx:
            repository = JobRepository(tx)
            await quotas.hold(tx, job.account_id, "cron_job")
            timed = await self._timed(repository, made)
            await repository.insert(timed)
            if await repository.count(job.account_id) > MAX_JOBS:
                raise TooManyJobsError
            await repository.wake(CHANNEL)
            return timed

    async def change(self, account_id: str, job_id: str, changes: dict[str, Any]) -> Job:
        """Change what is given, by field of `Job`; a job whose times change is due anew from now on.

        Raises:
            JobNotFoundError: The account has none of this id.
            InvalidScheduleError, AgentNotFoundError: As `create`.
        """
        if changes.get("agent_id"):
            await self._agents.get(account_id, changes["agent_id"])
        async with self._database.transaction() as tx:
            repository = JobRepository(tx)
            before = await repository.lock(account_id, job_id)
            after = msgspec.structs.replace(before, **changes)
            if _times(after) != _times(before):
                after = await self._timed(repository, after)
            await repository.update(after)
            await repository.wake(CHANNEL)
            return after

    async def remove(self, account_id: str, job_id: str) -> None:
        """Delete a job; a turn that it began goes on.

        Raises:
            JobNotFoundError: The account has none of this id.
        """
        async with self._database.transaction() as tx:
            if not await JobRepository(tx).delete(account_id, job_id):
                raise JobNotFoundError

    async def fire(self, account_id: str, job_id: str) -> str:
        """Have a job fire now, enabled or not; returns the firing.

        Raises:
            JobNotFoundError: The account has none of this id.
            JobBusyError: Too many of its firings are not over yet.
        """
        async with self._database.transaction() as tx:
            jobs, firings = JobRepository(tx), FiringRepository(tx)
            job = await jobs.lock(account_id, job_id)
            if await firings.count_unfinished(job.id) >= MAX_UNFINISHED:
                raise JobBusyError
            firing_id = new_id("fire")
            now = await jobs.now()
            await firings.claim(firing_id, job, FiringKind.MANUAL, now, FiringStatus.CLAIMED, "")
            version = await jobs.note(job.id, JobStatus.RUNNING, has_fired=True)
            await self._outbox.append(
                tx,
                CronFired(
                    job_id=job.id,
                    account_id=account_id,
                    firing_id=firing_id,
                    kind=FiringKind.MANUAL,
                    due_at=now,
                    version=version,
                ),
            )
            await jobs.wake(CHANNEL)
        return firing_id

    async def erase(self, tx: Transaction, account_id: str) -> None:
        """Erase the jobs of an account that is no more; turns that they began are erased with their sessions."""
        await JobRepository(tx).erase(account_id)

    async def _timed(self, repository: JobRepository, job: Job) -> Job:
        now = await repository.now()
        check_pace(Schedule.parse(job.schedule, job.timezone), now=now, least=self._least_pause)
        return msgspec.structs.replace(job, next_run=job.after(now))


def _times(job: Job) -> tuple[str, str, bool]:
    return job.schedule, job.timezone, job.is_enabled
