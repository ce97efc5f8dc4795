"""SQL of cron, and nothing else."""

from datetime import datetime, timedelta

from agent_runtime.cron.domain.firings import Firing, FiringKind, FiringStatus, Job, JobStatus
from agent_runtime.cron.errors import JobNotFoundError
from shoal.database import Transaction

_PIECE = 1000
"""How many old firings one statement deletes."""


class JobRepository:
    """Rows of `cron_job`."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def now(self) -> datetime:
        """Tell the time by the database's clock, which every replica shares."""
        moment: datetime = await self._tx.value("select now()")
        return moment

    async def insert(self, job: Job) -> None:
        """Add a job."""
        await self._tx.execute(
            """
            insert into cron_job (id, account_id, name, schedule, timezone, missed, is_enabled, payload, agent_id,
                                  session_key, next_run)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            """,
            *(job.id, job.account_id, job.name, job.schedule, job.timezone, job.missed, job.is_enabled, job.payload),
            *(job.agent_id, job.session_key, job.next_run),
        )

    async def update(self, job: Job) -> None:
        """Write what people may change; the row is locked."""
        await self._tx.execute(
            """
            update cron_job
               set name = $2, schedule = $3, timezone = $4, missed = $5, is_enabled = $6, payload = $7, agent_id = $8,
                   session_key = $9, next_run = $10, updated_at = now(), version = version + 1
             where id = $1
            """,
            *(job.id, job.name, job.schedule, job.timezone, job.missed, job.is_enabled, job.payload, job.agent_id),
            *(job.session_key, job.next_run),
        )

    async def list_of(self, account_id: str, *, job_id: str | None = None) -> list[Job]:
        """List an account's jobs (or one of them), oldest first."""
        return await self._tx.all(
            Job,
            """
            select id, account_id, name, schedule, timezone, missed, is_enabled, payload, agent_id, session_key, status,
                   last_run, next_run, last_error
              from cron_job
             where account_id = $1
               and id = coalesce($2, id)
             order by created_at, id
            """,
            *(account_id, job_id),
        )

    async def get(self, account_id: str, job_id: str) -> Job:
        """Read one of an account's jobs.

        Raises:
            JobNotFoundError: The account has none of this id.
        """
        found = await self.list_of(account_id, job_id=job_id)
        if not found:
            raise JobNotFoundError
        return found[0]

    async def lock(self, account_id: str, job_id: str) -> Job:
        """Read one of an account's jobs and hold its row.

        Raises:
            JobNotFoundError: The account has none of this id.
        """
        locked = await self._tx.value(
            "select id from cron_job where account_id = $1 and id = $2 for update", account_id, job_id
        )
        if locked is None:
            raise JobNotFoundError
        return await self.get(account_id, job_id)

    async def lock_due(self, limit: int) -> list[Job]:
        """Read jobs whose time has come, and hold their rows."""
        return await self._tx.all(
            Job,
            """
            select id, account_id, name, schedule, timezone, missed, is_enabled, payload, agent_id, session_key, status,
                   last_run, next_run, last_error
              from cron_job
             where next_run <= now()
             order by next_run
             limit $1
               for update skip locked
            """,
            limit,
        )

    async def seconds_until_due(self) -> float | None:
        """Tell after how many seconds the next job is due; None while none is."""
        seconds = await self._tx.value("select extract(epoch from min(next_run) - now())::float8 from cron_job")
        return None if seconds is None else float(seconds)

    async def move(self, job_id: str, next_run: datetime | None) -> None:
        """Say when a job is due next."""
        await self._tx.execute("update cron_job set next_run = $2 where id = $1", job_id, next_run)

    async def note(self, job_id: str, status: JobStatus, *, has_fired: bool = False, error: str = "") -> int:
        """Note what a job's last firing does or did; returns the row's new version."""
        version = await self._tx.value(
            """
            update cron_job
               set status = $2, last_error = $3, last_run = case when $4 then now() else last_run end,
                   version = version + 1
             where id = $1
            returning version
            """,
            *(job_id, status, error, has_fired),
        )
        return int(version)

    async def delete(self, account_id: str, job_id: str) -> bool:
        """Delete a job with its firings; whether there was one."""
        return bool(
            await self._tx.execute("delete from cron_job where account_id = $1 and id = $2", account_id, job_id)
        )

    async def erase(self, account_id: str) -> None:
        """Delete an account's jobs with their firings."""
        await self._tx.execute("delete from cron_job where account_id = $1", account_id)

    async def count(self, account_id: str) -> int:
        """Count an account's jobs."""
        return int(await self._tx.value("select count(*) from cron_job where account_id = $1", account_id))

    async def wake(self, channel: str) -> None:
        """Tell whoever holds the lease that something is to be done, once this commits."""
        await self._tx.value("select pg_notify($1, '')", channel)


class FiringRepository:
    """Rows of `cron_firing`."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def claim(
        self, firing_id: str, job: Job, kind: FiringKind, due_at: datetime, status: FiringStatus, error: str
    ) -> bool:
        """Write a firing; False when this tick was claimed before."""
        return bool(
            await self._tx.execute(
                """
                insert into cron_firing (id, job_id, account_id, kind, due_at, status, error, prompt, agent_id, session,
                                         ended_at)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, case when $6 = 'skipped' then now() end)
                    on conflict do nothing
                """,
                *(firing_id, job.id, job.account_id, kind, due_at, status, error),
                *(job.prompt, job.agent_id, job.session),
            )
        )

    async def claimed(self, limit: int) -> list[Firing]:
        """List firings that are to be started, the oldest first."""
        return await self._tx.all(
            Firing,
            """
            select id, job_id, account_id, kind, due_at, prompt, agent_id, session, status, run_id, error, claimed_at,
                   ended_at
              from cron_firing
             where status = 'claimed'
             order by claimed_at, id
             limit $1
            """,
            limit,
        )

    async def running(self, limit: int, *, after: str) -> list[Firing]:
        """List firings whose turns have been started and are not known to be over, by id, as of one."""
        return await self._tx.all(
            Firing,
            """
            select id, job_id, account_id, kind, due_at, prompt, agent_id, session, status, run_id, error, claimed_at,
                   ended_at
              from cron_firing
             where status = 'running' and id > $2
             order by id
             limit $1
            """,
            *(limit, after),
        )

    async def count_unfinished(self, job_id: str) -> int:
        """Count a job's firings that are not over."""
        return int(
            await self._tx.value(
                "select count(*) from cron_firing where job_id = $1 and status in ('claimed', 'running')", job_id
            )
        )

    async def history(self, job_id: str, limit: int) -> list[Firing]:
        """List a job's firings, the newest first."""
        return await self._tx.all(
            Firing,
            """
            select id, job_id, account_id, kind, due_at, prompt, agent_id, session, status, run_id, error, claimed_at,
                   ended_at
              from cron_firing
             where job_id = $1
             order by claimed_at desc, due_at desc
             limit $2
            """,
            *(job_id, limit),
        )

    async def start(self, firing_id: str, run_id: str) -> None:
        """Note which run answers."""
        await self._tx.execute(
            "update cron_firing set status = 'running', run_id = $2 where id = $1 and status = 'claimed'",
            *(firing_id, run_id),
        )

    async def end(self, firing_id: str, status: FiringStatus, error: str) -> bool:
        """Note how a firing ended; False when that was noted before."""
        return bool(
            await self._tx.execute(
                """
                update cron_firing
                   set status = $2, error = $3, ended_at = now()
                 where id = $1 and status in ('claimed', 'running')
                """,
                *(firing_id, status, error),
            )
        )

    async def forget_old(self, age: timedelta) -> int:
        """Delete some firings that ended long ago; returns how many: fewer than a thousand are all."""
        return await self._tx.execute(
            """
            delete from cron_firing
             where id in (select id from cron_firing where ended_at < now() - $1::interval limit $2)
            """,
            *(age, _PIECE),
        )
