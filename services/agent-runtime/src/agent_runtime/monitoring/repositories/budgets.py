"""SQL of budgets, and nothing else."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from agent_runtime.monitoring.domain.budgets import Budget, Hold, Scope, Standing
from shoal.database import Transaction

Subjects = Sequence[tuple[Scope, str]]


class BudgetRepository:
    """Rows of `budget`, `budget_spending` and `budget_hold`."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    # who may begin

    async def hold_account(self, account_id: str) -> None:
        """Let nothing that the account spends be recorded until the commit, but what is being recorded first."""
        await self._tx.value("select pg_advisory_xact_lock(hashtextextended($1, 3))", account_id)

    # budgets

    async def put(self, budget: Budget) -> Budget | None:
        """Set a limit, or another one in its place."""
        return await self._tx.find(
            Budget,
            """
            insert into budget (id, account_id, scope, subject, period, limit_usd, limit_tokens)
            values ($1, $2, $3, $4, $5, $6, $7)
                on conflict on constraint budget_key do update
               set limit_usd = excluded.limit_usd, limit_tokens = excluded.limit_tokens
            returning id, account_id, scope, subject, period, limit_usd, limit_tokens
            """,
            *(budget.id, budget.account_id, budget.scope, budget.subject, budget.period),
            *(budget.limit_usd, budget.limit_tokens),
        )

    async def list(self, account_id: str) -> Sequence[Budget]:
        """List an account's budgets."""
        return await self._tx.all(
            Budget,
            """
            select id, account_id, scope, subject, period, limit_usd, limit_tokens
              from budget
             where account_id = $1
             order by scope, subject, period
            """,
            account_id,
        )

    async def has_any(self, account_id: str) -> bool:
        """Tell whether an account has budgets."""
        return bool(await self._tx.value("select exists (select from budget where account_id = $1)", account_id))

    async def list_against(self, account_id: str, subjects: Subjects) -> Sequence[Budget]:
        """List the budgets that count spending of these subjects, in the order in which they are held."""
        return await self._tx.all(
            Budget,
            """
            select id, account_id, scope, subject, period, limit_usd, limit_tokens
              from budget
             where account_id = $1
               and (scope, subject) in (select scope, subject from unnest($2::text[], $3::text[]) as s (scope, subject))
             order by id
            """,
            *(account_id, [str(scope) for scope, _ in subjects], [subject for _, subject in subjects]),
        )

    async def lock(self, budget_ids: Sequence[str]) -> Sequence[str]:
        """Hold budgets until the commit, in the order of their ids; returns those that there are."""
        return await self._tx.all(
            str, "select id from budget where id = any($1) order by id for update", list(budget_ids)
        )

    async def delete(self, account_id: str, budget_id: str) -> int:
        """Delete a budget; returns how many there were."""
        return await self._tx.execute("delete from budget where account_id = $1 and id = $2", account_id, budget_id)

    # what was spent

    async def standing(self, budget_id: str, since: datetime) -> Standing:
        """Read what was spent in the period that began then, and what is set aside."""
        standing = await self._tx.find(
            Standing,
            """
            select coalesce((select usd from budget_spending where budget_id = $1 and since = $2), 0) as spent_usd,
                   coalesce((select tokens from budget_spending where budget_id = $1 and since = $2), 0)
                   as spent_tokens,
                   coalesce(sum(usd), 0) as held_usd, coalesce(sum(tokens), 0)::bigint as held_tokens
              from budget_hold
             where budget_id = $1
               and expires_at > now()
            """,
            *(budget_id, since),
        )
        return standing or Standing()

    async def begin(self, budget: Budget, since: datetime) -> None:
        """Count what was spent in the present period before there was this budget."""
        await self._tx.execute(
            """
            insert into budget_spending (budget_id, since, usd, tokens)
            select $1, $2::timestamptz, coalesce(sum(input_cost + output_cost), 0),
                   coalesce(sum(input_tokens + output_tokens), 0)
              from usage_entry
             where account_id = $3
               and at >= $2
               and case $4 when 'token' then credential_id = $5
                           when 'agent' then agent_id = $5
                           when 'session' then session_key = $5
                           else true
                   end
                on conflict do nothing
            """,
            *(budget.id, since, budget.account_id, str(budget.scope), budget.subject),
        )

    # what is set aside

    async def set_aside(
        self, reservation: str, budget_id: str, hold: Hold, *, run_id: str, lapses_after: timedelta
    ) -> None:
        """Set something aside of a budget for a run's call, until it lapses."""
        await self._tx.execute(
            """
            insert into budget_hold (reservation, budget_id, run_id, usd, tokens, expires_at)
            values ($1, $2, $3, $4, $5, now() + $6::interval)
            """,
            *(reservation, budget_id, run_id, hold.usd, hold.tokens, lapses_after),
        )

    async def release(self, reservation: str) -> None:
        """Give back what was set aside for a call."""
        await self._tx.execute("delete from budget_hold where reservation = $1", reservation)

    async def release_all(self, run_id: str) -> None:
        """Give back what was set aside for a run's calls."""
        await self._tx.execute("delete from budget_hold where run_id = $1", run_id)

    async def forget_lapsed(self) -> int:
        """Forget what nobody settled; returns how many there were."""
        return await self._tx.execute("delete from budget_hold where expires_at < now() - interval '1 hour'")

    async def erase(self, account_id: str) -> None:
        """Delete an account's budgets."""
        await self._tx.execute("delete from budget where account_id = $1", account_id)
