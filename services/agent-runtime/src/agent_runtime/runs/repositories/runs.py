"""Rows of `run`."""

from collections.abc import Sequence

from agent_runtime.errors import RunNotFoundError
from agent_runtime.ports import RunStatus, Traffic
from agent_runtime.runs.domain.runs import NewRun, Repeated, Run
from shoal.database import Transaction
from shoal.leases import Lease


class RunRepository:
    """Runs, one by one and in the order of their session."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def get(self, account_id: str, run_id: str) -> Run:
        """Read a run.

        Raises:
            RunNotFoundError: The account has none of this id.
        """
        found = await self._tx.find(
            Run,
            """
            select id, account_id, session_id, session_key, agent_id, parent_id, status, content, model, origin,
                   requested_by, credential_id, instructions, tools, traceparent, worker, epoch, error_code, error,
                   last_seq, version, complexity, tier, spent_ms, created_at, started_at, ended_at
              from run
             where id = $2 and account_id = $1
            """,
            *(account_id, run_id),
        )
        if found is None:
            raise RunNotFoundError
        return found

    async def lock(self, run_id: str) -> Run:
        """Read a run and hold its row.

        Raises:
            RunNotFoundError: There is none.
        """
        found = await self._tx.find(
            Run,
            """
            select id, account_id, session_id, session_key, agent_id, parent_id, status, content, model, origin,
                   requested_by, credential_id, instructions, tools, traceparent, worker, epoch, error_code, error,
                   last_seq, version, complexity, tier, spent_ms, created_at, started_at, ended_at
              from run
             where id = $1
               for update
            """,
            run_id,
        )
        if found is None:
            raise RunNotFoundError
        return found

    async def list(self, session_id: str, limit: int) -> Sequence[Run]:
        """Read a session's runs, the latest first."""
        return await self._tx.all(
            Run,
            """
            select id, account_id, session_id, session_key, agent_id, parent_id, status, content, model, origin,
                   requested_by, credential_id, instructions, tools, traceparent, worker, epoch, error_code, error,
                   last_seq, version, complexity, tier, spent_ms, created_at, started_at, ended_at
              from run
             where session_id = $1
             order by position desc
             limit $2
            """,
            *(session_id, limit),
        )

    async def repeated(self, session_id: str, idempotency_key: str) -> Repeated | None:
        """Find the run that a request of this key started."""
        return await self._tx.find(
            Repeated,
            "select id, request_sha256 from run where session_id = $1 and idempotency_key = $2",
            *(session_id, idempotency_key),
        )

    async def unfinished(self, session_id: str) -> Sequence[str]:
        """List a session's runs that are not over, in their order."""
        return await self._tx.all(
            str,
            """
            select id
              from run
             where session_id = $1 and status in ('queued', 'running', 'pending_approval')
             order by position
            """,
            session_id,
        )

    async def children(self, run_id: str) -> Sequence[str]:
        """List the runs that run on account of this one and are not over."""
        return await self._tx.all(
            str,
            "select id from run where parent_id = $1 and status in ('queued', 'running', 'pending_approval')",
            run_id,
        )

    async def insert(self, run: NewRun, *, worker: Lease | None) -> Run:
        """Write a run with its first event at the end of its session's queue, whose row is held.

        Where nothing stands before it, the worker that is given takes it with that, and it has started. Without a
        credential it spends on that of its parent.
        """
        found = await self._tx.find(
            Run,
            """
            with place as (
                select $17::text is not null
                       and not exists (select from run
                                        where session_id = $3
                                          and status in ('queued', 'running', 'pending_approval')) as is_taken
            ), told as (
                insert into run_event (run_id, seq, type, data)
                select $1, seq, type, '{}'
                  from place, (values (1, 'queued'), (2, 'started')) as first (seq, type)
                 where seq = 1 or is_taken
            )
            insert into run (id, account_id, session_id, session_key, agent_id, parent_id, content, model, origin,
                             requested_by, credential_id, instructions, tools, idempotency_key, request_sha256,
                             traceparent, status, worker, epoch, started_at, last_seq)
            select $1, $2, $3, $4, $5, $6::text, $7, $8, $9, $10,
                   coalesce(nullif($11, ''), (select credential_id from run where id = $6), ''),
                   $12, $13::text[], $14::text, $15::bytea, $16::text,
                   case when is_taken then 'running' else 'queued' end, case when is_taken then $17 end,
                   case when is_taken then $18::bigint end, case when is_taken then now() end, 1 + is_taken::integer
              from place
            returning id, account_id, session_id, session_key, agent_id, parent_id, status, content, model, origin,
                      requested_by, credential_id, instructions, tools, traceparent, worker, epoch, error_code, error,
                      last_seq, version, complexity, tier, spent_ms, created_at, started_at, ended_at
            """,
            *(run.id, run.account_id, run.session_id, run.session_key, run.agent_id, run.parent_id, run.content),
            *(run.model, run.origin, run.requested_by, run.credential_id, run.instructions, run.tools),
            *(run.idempotency_key, run.request_sha256, run.traceparent),
            *((None, None) if worker is None else (worker.key, worker.epoch)),
        )
        assert found is not None  # noqa: S101 - it was written
        return found

    async def claim(self, session_id: str, worker: Lease) -> Run | None:
        """Take a session's first unfinished run, if it waits for somebody to take it."""
        return await self._tx.find(
            Run,
            """
            update run
               set status = 'running', worker = $2, epoch = $3, started_at = coalesce(started_at, now()),
                   version = version + 1, cancel_requested_at = null
             where status = 'queued'
               and id = (select id
                           from run
                          where session_id = $1 and status in ('queued', 'running', 'pending_approval')
                          order by position
                          limit 1)
            returning id, account_id, session_id, session_key, agent_id, parent_id, status, content, model, origin,
                      requested_by, credential_id, instructions, tools, traceparent, worker, epoch, error_code, error,
                      last_seq, version, complexity, tier, spent_ms, created_at, started_at, ended_at
            """,
            *(session_id, worker.key, worker.epoch),
        )

    async def is_waiting(self, session_id: str) -> bool:
        """Tell whether a run of a session waits to be taken."""
        found: bool = await self._tx.value(
            "select exists (select from run where session_id = $1 and status = 'queued')", session_id
        )
        return found

    async def is_abandoned(self, run_id: str) -> bool:
        """Tell whether a run's worker is dead, and has not come back meanwhile."""
        found: bool = await self._tx.value(
            """
            select not exists (select from lease
                                where key = run.worker and epoch = run.epoch and expires_at > now())
              from run
             where id = $1
            """,
            run_id,
        )
        return found

    async def disown(self, run_ids: Sequence[str]) -> None:
        """Take running runs from their worker, so that they count as abandoned."""
        await self._tx.execute(
            "update run set worker = null, epoch = null where id = any($1) and status = 'running'", list(run_ids)
        )

    async def request_cancel(self, run_id: str) -> None:
        """Note that a run is wanted ended."""
        await self._tx.execute("update run set cancel_requested_at = now() where id = $1", run_id)

    async def move(
        self, run_id: str, status: RunStatus, *, spent_ms: float = 0, error_code: str = "", error: str = ""
    ) -> int:
        """Write where a run stands now, without a worker; returns its new version."""
        version: int = await self._tx.value(
            """
            update run
               set status = $2, worker = null, epoch = null, cancel_requested_at = null,
                   spent_ms = spent_ms + $3, error_code = $4, error = $5, version = version + 1,
                   ended_at = case when $6 then now() end
             where id = $1
            returning version
            """,
            *(run_id, status, spent_ms, error_code, error, status.is_over),
        )
        return version

    async def traffic(self, account_id: str, origins: Sequence[str]) -> Traffic:
        """Count the messages that came from somewhere, and the answers to them."""
        found = await self._tx.find(
            Traffic,
            """
            select count(*) + count(*) filter (where status = 'completed') as messages,
                   max(coalesce(ended_at, started_at)) as last_at
              from run
             where account_id = $1 and origin = any($2) and started_at is not null
            """,
            *(account_id, list(origins)),
        )
        return found or Traffic()

    async def delete_ended(self, *, days: int, limit: int) -> int:
        """Delete some events of runs that ended long ago; returns how many."""
        return await self._tx.execute(
            """
            delete from run_event
             where (run_id, seq) in (select run_id, seq
                                       from run_event
                                       join run on run.id = run_id
                                      where ended_at < now() - make_interval(days => $1)
                                      limit $2)
            """,
            *(days, limit),
        )
