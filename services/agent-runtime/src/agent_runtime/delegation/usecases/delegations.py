"""Handing work on: choose, record, do, record again."""

import asyncio
from datetime import timedelta

from agent_runtime import quotas
from agent_runtime.delegation.domain.complexity import classify
from agent_runtime.delegation.domain.rules import BOOSTER
from agent_runtime.delegation.domain.tasks import (
    MAX_ACTIVE,
    MAX_DEPTH,
    MAX_ERROR,
    ActiveDelegation,
    Choice,
    History,
    Task,
    TaskResult,
    TaskStatus,
)
from agent_runtime.delegation.repositories import TaskRepository
from agent_runtime.delegation.usecases.choosing import Choosing
from agent_runtime.delegation.usecases.doing import Doing
from agent_runtime.ports import Assignment, Classification, Frame, Frames, ModelName, Outcome, Spent, Topic, Usage
from shoal.clock import Clock
from shoal.database import Database
from shoal.errors import AppError
from shoal.ids import new_id

KEPT = timedelta(days=90)
"""How long ended work stays in the history."""
_LOOKED_AT = 100
_UNSTARTED = timedelta(minutes=1)


class Delegations:
    """Work that agents hand on.

    What plain code did is recorded among what models took, as a request of no tokens; runs record their own.
    """

    def __init__(
        self, *, database: Database, choosing: Choosing, doing: Doing, usage: Usage, frames: Frames, clock: Clock
    ) -> None:
        self._database = database
        self._choosing = choosing
        self._doing = doing
        self._usage = usage
        self._frames = frames
        self._clock = clock

    async def classify(self, text: str) -> Classification:
        """Tell how complex a task is, by its words alone."""
        return classify(text)

    async def delegate(self, assignment: Assignment) -> Outcome:
        """Have some work done, and wait for it; cancelled when the caller is.

        What goes wrong is told in the outcome, which then is `failed`.
        """
        choice = await self._choosing.choose(assignment.account_id, assignment.task, assignment.tool_name)
        task = await self._record(assignment, choice)
        spent = None
        if choice.boosted is not None:
            result = TaskResult(TaskStatus.COMPLETED, choice.boosted)
            spent = self._boosted(assignment, task)
        elif task.status.is_over:
            result = TaskResult.failed(task.error)
        else:
            result = await self._have_done(assignment, task)
        await self._end(task, result, spent)
        return Outcome(
            task_id=task.task_id,
            target=task.target,
            tier=task.tier,
            status=result.status,
            output=result.output,
            fallback_reason=task.fallback_reason,
        )

    async def active(self, account_id: str) -> list[ActiveDelegation]:
        """List what goes on, oldest first, each with how long it has been at it."""
        async with self._database.reading() as database:
            tasks = await TaskRepository(database).active(account_id)
        return [ActiveDelegation.of(task, until=self._clock.now()) for task in tasks]

    async def history(
        self, account_id: str, *, session: str = "", target: str = "", offset: int = 0, limit: int = 50
    ) -> History:
        """Page through what was handed on, the newest first; of sessions and targets that hold these texts."""
        async with self._database.reading() as database:
            return await TaskRepository(database).history(
                account_id, session=session, target=target, offset=offset, limit=limit
            )

    async def sweep(self) -> None:
        """Note the ends of work for which nobody waits any more, because that process is gone."""
        async with self._database.reading() as database:
            unfinished = await TaskRepository(database).unfinished(older_than=_UNSTARTED, limit=_LOOKED_AT)
        for task in unfinished:
            result = await self._doing.look(task)
            if result is not None:
                await self._end(task, result)

    async def forget_old(self) -> None:
        """Delete what was handed on long ago."""
        forgotten = 1
        while forgotten:
            async with self._database.transaction() as tx:
                forgotten = await TaskRepository(tx).forget_old(KEPT)

    async def _record(self, assignment: Assignment, choice: Choice) -> Task:
        """Note that work is handed on; it is over at once where that may not be."""
        async with self._database.transaction() as tx:
            repository = TaskRepository(tx)
            await quotas.hold(tx, assignment.account_id, "delegation")
            depth = await repository.depth_of(assignment.account_id, assignment.session_key)
            task = Task(
                task_id=new_id("del"),
                account_id=assignment.account_id,
                session_key=assignment.session_key,
                run_id=assignment.run_id,
                child_run_id="",
                tool_name=assignment.tool_name,
                target=choice.target,
                tier=choice.tier,
                rule=choice.rule,
                fallback_reason=choice.fallback_reason,
                complexity=choice.complexity,
                depth=depth + 1,
                status=TaskStatus.PENDING,
                error="",
                started_at=self._clock.now(),
                completed_at=None,
            )
            await repository.insert(task)
            refusal = "" if choice.boosted is not None else await _refusal(repository, task)
            if refusal:
                task = await repository.end(task.task_id, TaskStatus.FAILED, refusal) or task
        await self._show(task)
        return task

    async def _have_done(self, assignment: Assignment, task: Task) -> TaskResult:
        """Have an agent's run do it, and wait for that."""
        run_id, max_s = "", self._doing.timeout.total_seconds()
        try:
            async with asyncio.timeout(max_s):
                run_id = await self._doing.start(assignment, task)
                async with self._database.transaction() as tx:
                    started = await TaskRepository(tx).start(task.task_id, run_id)
                if started is not None:
                    await self._show(started)
                return await self._doing.wait(task.account_id, run_id)
        except TimeoutError:
            await self._doing.cancel(task.account_id, run_id)
            return TaskResult.failed(f"It was not done within {max_s:g} s.")
        except AppError as error:
            return TaskResult.failed(error.message)
        except asyncio.CancelledError:
            await asyncio.shield(self._break_off(task, run_id))
            raise

    async def _break_off(self, task: Task, run_id: str) -> None:
        await self._doing.cancel(task.account_id, run_id)
        await self._end(task, TaskResult.failed("It was cancelled."))

    def _boosted(self, assignment: Assignment, task: Task) -> Spent:
        """Tell what plain code took: nothing, but it was asked."""
        return Spent(
            account_id=task.account_id,
            agent_id=assignment.agent_id,
            session_key=task.session_key,
            credential_id="",
            run_id=task.run_id,
            model=ModelName(BOOSTER, BOOSTER),
            input_tokens=0,
            output_tokens=0,
            cache_read_tokens=0,
            cache_write_tokens=0,
            tier=task.tier,
            at=self._clock.now(),
        )

    async def _end(self, task: Task, result: TaskResult, spent: Spent | None = None) -> None:
        error = result.output[:MAX_ERROR] if result.status is TaskStatus.FAILED else ""
        async with self._database.transaction() as tx:
            ended = await TaskRepository(tx).end(task.task_id, result.status, error)
            if ended is not None and spent is not None:
                await self._usage.settle(tx, "", spent)
        if ended is not None:
            await self._show(ended)

    async def _show(self, task: Task) -> None:
        shown = ActiveDelegation.of(task)
        await self._frames.publish(Frame.of(task.account_id, Topic.DELEGATION_UPDATE, shown))


async def _refusal(repository: TaskRepository, task: Task) -> str:
    """Tell why no model is given a task that was just written, where none may be."""
    if task.depth > MAX_DEPTH:
        return f"Work may be handed on {MAX_DEPTH} times, not more."
    if await repository.count_active(task.account_id) > MAX_ACTIVE:
        return f"{MAX_ACTIVE} pieces of work go on at once, not more: try again later."
    return ""
