"""SQL of timed turns, and nothing else."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from agent_runtime.ports import TimedTurn
from shoal.database import Transaction


class TurnRepository:
    """Rows of `pipeline_turn`."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(self, turn: TimedTurn) -> None:
        """Keep a turn; one that is known stays as it is."""
        await self._tx.execute(
            """
            insert into pipeline_turn (account_id, run_id, agent_id, session_key, model, complexity, tier, latency_ms,
                                       is_success, stages, trace_id, at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
                on conflict do nothing
            """,
            *(turn.account_id, turn.run_id, turn.agent_id, turn.session_key),
            *(turn.model, turn.complexity, turn.tier, turn.latency_ms, turn.is_success),
            *(msgspec.to_builtins(turn.stages), turn.trace_id, turn.at),
        )

    async def newest(
        self, account_id: str, *, session_key: str | None, before: datetime | None, limit: int
    ) -> Sequence[TimedTurn]:
        """List turns, newest first."""
        return await self._tx.all(
            TimedTurn,
            """
            select account_id, run_id, agent_id, session_key, model, complexity, tier, latency_ms, is_success, stages,
                   trace_id, at
              from pipeline_turn
             where account_id = $1
               and session_key = coalesce($2, session_key)
               and at < coalesce($3::timestamptz, 'infinity')
             order by at desc, run_id
             limit $4
            """,
            *(account_id, session_key, before, limit),
        )

    async def forget_old(self, before: datetime) -> int:
        """Forget turns that are older; returns how many there were."""
        return await self._tx.execute("delete from pipeline_turn where at < $1", before)

    async def erase(self, account_id: str) -> None:
        """Delete an account's turns."""
        await self._tx.execute("delete from pipeline_turn where account_id = $1", account_id)
