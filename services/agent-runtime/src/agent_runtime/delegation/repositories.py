"""SQL of delegation, and nothing else."""

from datetime import timedelta

from agent_runtime.delegation.domain.rules import BOOSTER, Rule
from agent_runtime.delegation.domain.tasks import History, Task, TaskStatus
from shoal.database import Transaction

_PIECE = 1000
"""How many old tasks one statement deletes."""


class RuleRepository:
    """Rows of `delegation_rule`, and which accounts have begun."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def begin(self, account_id: str) -> bool:
        """Note that an account has begun; whether it had not."""
        return bool(
            await self._tx.execute(
                "insert into delegation_beginning (account_id) values ($1) on conflict do nothing", account_id
            )
        )

    async def has_begun(self, account_id: str) -> bool:
        """Tell whether an account has begun."""
        return bool(await self._tx.value("select true from delegation_beginning where account_id = $1", account_id))

    async def put(self, account_id: str, rule: Rule) -> None:
        """Set a rule in place of the one of its name."""
        await self._tx.execute(
            """
            insert into delegation_rule
                   (account_id, name, pattern, target, complexity_threshold, is_enabled, priority)
            values ($1, $2, $3, $4, $5, $6, $7)
                on conflict (account_id, name) do update
               set pattern = excluded.pattern, target = excluded.target,
                   complexity_threshold = excluded.complexity_threshold, is_enabled = excluded.is_enabled,
                   priority = excluded.priority, updated_at = now()
            """,
            *(account_id, rule.name, rule.pattern, rule.target, rule.complexity_threshold, rule.is_enabled),
            rule.priority,
        )

    async def list_of(self, account_id: str) -> list[Rule]:
        """List an account's rules in the order of deciding."""
        return await self._tx.all(
            Rule,
            """
            select name, pattern, target, complexity_threshold, is_enabled, priority
              from delegation_rule
             where account_id = $1
             order by priority, name
            """,
            account_id,
        )

    async def delete(self, account_id: str, name: str) -> bool:
        """Delete a rule; whether there was one."""
        return bool(
            await self._tx.execute("delete from delegation_rule where account_id = $1 and name = $2", account_id, name)
        )

    async def erase(self, account_id: str) -> None:
        """Delete an account's rules, and that it has begun."""
        await self._tx.execute("delete from delegation_rule where account_id = $1", account_id)
        await self._tx.execute("delete from delegation_beginning where account_id = $1", account_id)


class TaskRepository:
    """Rows of `delegation`."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(self, task: Task) -> None:
        """Add a task."""
        await self._tx.execute(
            """
            insert into delegation (task_id, account_id, session_key, run_id, tool_name, target, tier, rule,
                                    fallback_reason, complexity, depth, status, started_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            """,
            *(task.task_id, task.account_id, task.session_key, task.run_id, task.tool_name, task.target, task.tier),
            *(task.rule, task.fallback_reason, task.complexity, task.depth, task.status, task.started_at),
        )

    async def start(self, task_id: str, child_run_id: str) -> Task | None:
        """Note which run does a task; None when it is over already."""
        return await self._tx.find(
            Task,
            """
            update delegation
               set status = 'running', child_run_id = $2
             where task_id = $1 and status = 'pending'
            returning task_id, account_id, session_key, run_id, child_run_id, tool_name, target, tier, rule,
                      fallback_reason, complexity, depth, status, error, started_at, completed_at
            """,
            *(task_id, child_run_id),
        )

    async def end(self, task_id: str, status: TaskStatus, error: str) -> Task | None:
        """Note how a task ended; None when that was noted before."""
        return await self._tx.find(
            Task,
            """
            update delegation
               set status = $2, error = $3, completed_at = greatest(now(), started_at)
             where task_id = $1 and status in ('pending', 'running')
            returning task_id, account_id, session_key, run_id, child_run_id, tool_name, target, tier, rule,
                      fallback_reason, complexity, depth, status, error, started_at, completed_at
            """,
            *(task_id, status, error),
        )

    async def depth_of(self, account_id: str, session_key: str) -> int:
        """Tell how deep a session is: 0 unless it is a delegation's."""
        depth = await self._tx.value(
            "select depth from delegation where account_id = $1 and task_id = $2", account_id, session_key
        )
        return int(depth or 0)

    async def count_active(self, account_id: str) -> int:
        """Count what models are at in an account."""
        return int(
            await self._tx.value(
                """
                select count(*)
                  from delegation
                 where account_id = $1
                   and status in ('pending', 'running')
                   and target <> $2
                """,
                *(account_id, BOOSTER),
            )
        )

    async def active(self, account_id: str) -> list[Task]:
        """List what goes on in an account, oldest first."""
        return await self._tx.all(
            Task,
            """
            select task_id, account_id, session_key, run_id, child_run_id, tool_name, target, tier, rule,
                   fallback_reason, complexity, depth, status, error, started_at, completed_at
              from delegation
             where account_id = $1
               and status in ('pending', 'running')
             order by started_at, task_id
            """,
            account_id,
        )

    async def unfinished(self, *, older_than: timedelta, limit: int) -> list[Task]:
        """List what has gone on for a while in any account, oldest first."""
        return await self._tx.all(
            Task,
            """
            select task_id, account_id, session_key, run_id, child_run_id, tool_name, target, tier, rule,
                   fallback_reason, complexity, depth, status, error, started_at, completed_at
              from delegation
             where status in ('pending', 'running')
               and started_at < now() - $1::interval
             order by started_at
             limit $2
            """,
            *(older_than, limit),
        )

    async def history(self, account_id: str, *, session: str, target: str, offset: int, limit: int) -> History:
        """Page through what was handed on, the newest first; of sessions and targets that hold these texts."""
        matching = (account_id, session, target)
        total = await self._tx.value(
            """
            select count(*)
              from delegation
             where account_id = $1
               and strpos(session_key, $2) > 0
               and strpos(lower(target), lower($3)) > 0
            """,
            *matching,
        )
        items = await self._tx.all(
            Task,
            """
            select task_id, account_id, session_key, run_id, child_run_id, tool_name, target, tier, rule,
                   fallback_reason, complexity, depth, status, error, started_at, completed_at
              from delegation
             where account_id = $1
               and strpos(session_key, $2) > 0
               and strpos(lower(target), lower($3)) > 0
             order by started_at desc, task_id
            offset $4 limit $5
            """,
            *(*matching, offset, limit),
        )
        return History(items, int(total))

    async def forget_old(self, age: timedelta) -> int:
        """Delete some tasks that ended long ago; returns how many: fewer than a thousand are all."""
        return await self._tx.execute(
            """
            delete from delegation
             where task_id in (select task_id from delegation where completed_at < now() - $1::interval limit $2)
            """,
            *(age, _PIECE),
        )

    async def erase(self, account_id: str) -> None:
        """Delete what an account handed on."""
        await self._tx.execute("delete from delegation where account_id = $1", account_id)
