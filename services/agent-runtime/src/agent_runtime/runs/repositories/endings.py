"""What is written when a run has its answer."""

from agent_runtime.runs.domain.endings import Completed, Completion
from agent_runtime.runs.domain.runs import Run
from shoal.database import Transaction


class EndingRepository:
    """Writes a run's last step and last events, that it is over, and its agent's count; at once, for a turn waits."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def complete(self, run: Run, ended: Completion) -> Completed:
        """Write that a run has its answer, with the session's row held: none can be queued meanwhile."""
        step, events = ended.step, ended.events
        found = await self._tx.find(
            Completed,
            """
            with said as (
                insert into run_step (run_id, number, text, model, input_tokens, output_tokens)
                values ($1, $2, $3, $4, $5, $6)
            ), told as (
                insert into run_event (run_id, seq, type, data)
                select $1, seq, type, data
                  from unnest($7::integer[], $8::text[], $9::jsonb[]) as event (seq, type, data)
            ), added as (
                insert into tally as counted (account_id, agent_id, epoch, messages_total, tokens_total, response_ms,
                                              is_changed)
                values ($10, $11, $12, 1, $18, array[$13::double precision::real], true)
                    on conflict (account_id, agent_id) do update
                   set messages_total = counted.messages_total + 1,
                       tokens_total = counted.tokens_total + excluded.tokens_total,
                       response_ms = counted.response_ms[1:999] || excluded.response_ms,
                       is_changed = true, changed_at = clock_timestamp()
            )
            update run
               set status = 'completed', worker = null, epoch = null, cancel_requested_at = null, model = $4,
                   complexity = $14, tier = $15, score = $16, spent_ms = $13,
                   last_seq = $17, version = version + 1, ended_at = now()
             where id = $1
            returning version,
                      exists (select from run as next
                               where next.session_id = run.session_id and next.status = 'queued') as is_followed
            """,
            *(run.id, step.number, step.text, step.model, step.input_tokens, step.output_tokens),
            *([event.seq for event in events], [str(event.type) for event in events]),
            [dict(event.data) for event in events],
            *(run.account_id, run.agent_id, ended.counting, ended.latency_ms),
            *(ended.complexity, ended.tier, ended.score, events[-1].seq, ended.tokens),
        )
        assert found is not None  # noqa: S101 - its row is there
        return found
