"""What is written when a call of a model is over."""

import msgspec

from agent_runtime.monitoring.domain.usage import Expense
from agent_runtime.ports import TimedTurn
from shoal.database import Transaction


class SpendingRepository:
    """Writes what a call took, against budgets too, and keeps the turn that it ends; at once, for a turn waits."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def record(self, expense: Expense, turn: TimedTurn | None) -> None:
        """Write an expense, and the turn that ends with it; one that is known stays as it is.

        The account is held (`UsageRepository.price_held`), so no budget misses the expense.
        """
        spent, tokens, cost = expense.spent, expense.tokens, expense.cost
        await self._tx.execute(
            """
            with entered as (
                insert into usage_entry (account_id, agent_id, session_key, credential_id, run_id, provider, model,
                                         tier, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
                                         input_cost, output_cost, price, at)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
            ), timed as (
                insert into pipeline_turn (account_id, run_id, agent_id, session_key, model, complexity, tier,
                                           latency_ms, is_success, stages, trace_id, at)
                select $1, $5, $2, $3, $23::text, $24::double precision, $25::integer, $26::double precision,
                       $27::boolean, $28::jsonb, $29::text, $30::timestamptz
                 where $23 is not null
                    on conflict do nothing
            )
            insert into budget_spending as known (budget_id, since, usd, tokens)
            select id, since, $21, $22
              from budget
              join unnest($19::text[], $20::timestamptz[]) as begun (period, since) using (period)
             where account_id = $1
               and (scope, subject) in (select scope, subject
                                          from unnest($17::text[], $18::text[]) as s (scope, subject))
             order by id
                on conflict (budget_id, since) do update
               set usd = known.usd + excluded.usd, tokens = known.tokens + excluded.tokens
            """,
            *(spent.account_id, spent.agent_id, spent.session_key, spent.credential_id, spent.run_id),
            *(spent.model.provider, spent.model.name, spent.tier),
            *(tokens.input, tokens.output, tokens.cache_read, tokens.cache_write),
            *(cost.input, cost.output, cost.price, spent.at),
            *([str(scope) for scope, _ in expense.subjects], [subject for _, subject in expense.subjects]),
            *([str(period) for period in expense.begun], list(expense.begun.values())),
            *(cost.total, tokens.total),
            *((None,) * 8 if turn is None else _columns(turn)),
        )


def _columns(turn: TimedTurn) -> tuple[object, ...]:
    """Give what a turn says beside whose it is."""
    stages = msgspec.to_builtins(turn.stages)
    return turn.model, turn.complexity, turn.tier, turn.latency_ms, turn.is_success, stages, turn.trace_id, turn.at
