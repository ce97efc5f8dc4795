"""What needs a worker."""

from collections.abc import Sequence

from agent_runtime.runs.domain.work_items import WorkItem
from shoal.database import Transaction


class WorkItemRepository:
    """Looks over all runs at once."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def work_items(self, worker: str, limit: int) -> Sequence[WorkItem]:
        """Find everything that a worker must look after, of each kind no more than `limit`."""
        return await self._tx.all(
            WorkItem,
            """
            (select 'waiting' as kind, session_id as id
               from run as waiting
              where status = 'queued'
                and created_at < now() - interval '1 second'
                and not exists (select from run as earlier
                                 where earlier.session_id = waiting.session_id
                                   and earlier.position < waiting.position
                                   and earlier.status in ('queued', 'running', 'pending_approval'))
              order by created_at
              limit $2)
             union all
            select case when cancel_requested_at is null then 'own' else 'unwanted' end, id
              from run
             where worker = $1 and status = 'running'
             union all
            (select 'abandoned', id
               from run
              where status = 'running'
                and not exists (select from lease
                                 where key = run.worker and epoch = run.epoch and expires_at > now())
              limit $2)
             union all
            (select distinct 'expired', run_id
               from tool_call
              where status = 'pending_approval' and expires_at < now()
              limit $2)
            """,
            *(worker, limit),
        )
