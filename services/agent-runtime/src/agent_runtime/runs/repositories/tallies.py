"""Rows of `tally`."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent_runtime.runs.domain.tallies import Tally, UnsentSample
from shoal.database import Transaction


class TallyRepository:
    """Counters of agents."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def count_error(self, account_id: str, agent_id: str, *, epoch: str, latency_ms: float) -> None:
        """Count a turn that failed; `epoch` begins the agent's counting, if nothing was counted before."""
        await self._tx.execute(
            """
            insert into tally as counted (account_id, agent_id, epoch, messages_total, errors_total, response_ms,
                                          is_changed)
            values ($1, $2, $3, 1, 1, array[$4::real], true)
                on conflict (account_id, agent_id) do update
               set messages_total = counted.messages_total + 1,
                   errors_total = counted.errors_total + 1,
                   response_ms = counted.response_ms[1:999] || excluded.response_ms,
                   is_changed = true, changed_at = clock_timestamp()
            """,
            *(account_id, agent_id, epoch, latency_ms),
        )

    async def count_tokens(self, account_id: str, agent_id: str, tokens: int, *, epoch: str) -> None:
        """Count what a call of a model took; `epoch` as for turns."""
        await self._tx.execute(
            """
            insert into tally as counted (account_id, agent_id, epoch, tokens_total, is_changed)
            values ($1, $2, $3, $4, true)
                on conflict (account_id, agent_id) do update
               set tokens_total = counted.tokens_total + excluded.tokens_total,
                   is_changed = true, changed_at = clock_timestamp()
            """,
            *(account_id, agent_id, epoch, tokens),
        )

    async def changed(self, limit: int) -> Sequence[Tally]:
        """Read and hold rows that have news, and no sample on its way.

        After a sample of the version before, which notes no time of a change, a row changed just now.
        """
        return await self._tx.all(
            Tally,
            """
            select account_id, agent_id, epoch, seq, messages_total, errors_total, tokens_total, response_ms,
                   created_at, made,
                   case when seq = 0 or made ->> 'seq' = seq::text then changed_at
                        else clock_timestamp()
                         end as changed_at,
                   (select count(distinct session_id)
                      from run
                     where run.account_id = tally.account_id
                       and run.agent_id = tally.agent_id
                       and status in ('queued', 'running', 'pending_approval')) as active_sessions
              from tally
             where is_changed and sample is null
             order by account_id, agent_id
             limit $1
               for update skip locked
            """,
            limit,
        )

    async def set_sample(
        self, account_id: str, agent_id: str, *, seq: int, pause: Mapping[str, Any] | None, sample: Mapping[str, Any]
    ) -> None:
        """Write a row's news as a sample to be sent, and what ends the pause before it."""
        await self._tx.execute(
            """
            update tally
               set seq = $3, pause = $4, sample = $5, made = $5, response_ms = '{}', is_changed = false
             where account_id = $1 and agent_id = $2
            """,
            *(account_id, agent_id, seq, None if pause is None else dict(pause), dict(sample)),
        )

    async def unsent(self, limit: int) -> Sequence[UnsentSample]:
        """Read samples that are not known to be stored."""
        return await self._tx.all(
            UnsentSample,
            """
            select account_id, agent_id, epoch, seq, pause, sample
              from tally
             where sample is not null
             order by account_id, agent_id
             limit $1
            """,
            limit,
        )

    async def told(self, account_id: str, agent_id: str, seq: int) -> None:
        """Note that a sample is stored."""
        await self._tx.execute(
            """
            update tally
               set pause = null, sample = null
             where account_id = $1 and agent_id = $2 and seq = $3
            """,
            *(account_id, agent_id, seq),
        )

    async def erase(self, account_id: str) -> None:
        """Delete what was counted of an account's agents."""
        await self._tx.execute("delete from tally where account_id = $1", account_id)
