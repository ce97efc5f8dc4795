"""Handing work on: choose, record, do, record again."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import msgspec
import structlog
from msgspec import Struct

from agent_runtime.delegation.domain import booster
from agent_runtime.delegation.domain.complexity import complexity as score, tier as tier_of
from agent_runtime.delegation.domain.rules import BOOSTER, fitting
from agent_runtime.delegation.domain.tasks import MOST_DEPTH, MOST_ERROR, ActiveDelegation, History, Task, TaskStatus
from agent_runtime.delegation.repositories import TaskRepository
from agent_runtime.delegation.usecases.rules import Rules
from agent_runtime.ports import (
    Assignment,
    Choice,
    Configuration,
    Frame,
    Frames,
    Outcome,
    RunStatus,
    Sessions,
    Topic,
    TurnRequest,
    TurnResult,
    Turns,
)
from shoal.clock import Clock
from shoal.database import Database
from shoal.errors import AppError, UnavailableError
from shoal.ids import new_id

KEPT = timedelta(days=90)
"""How long ended work stays in the history."""
_LOOK_S = 5.0
_APPROVAL_S = 0.5
_LOOKED_AT = 100
_UNSTARTED = timedelta(minutes=1)


class Done(Struct, frozen=True):
    """What came of some work."""

    status: TaskStatus
    output: str


class Delegations:
    """Work that agents hand on.

    Args:
        turns: Gives the way to an agent's answer; asked only when work is handed on, since turns themselves hand on.
        most: How long a piece of work may take.
    """

    def __init__(
        self,
        *,
        database: Database,
        rules: Rules,
        configuration: Configuration,
        sessions: Sessions,
        turns: Callable[[], Turns],
        frames: Frames,
        clock: Clock,
        most: timedelta,
    ) -> None:
        self._database = database
        self._rules = rules
        self._configuration = configuration
        self._sessions = sessions
        self._turns = turns
        self._frames = frames
        self._clock = clock
        self._most = most

    async def complexity(self, text: str) -> float:
        """Tell how complex a task is, 0 to 1."""
        return score(text)

    async def choose(self, account_id: str, text: str, tool_name: str) -> Choice:
        """Tell who would do some work: by the first rule that fits, else the account's default model.

        A rule for plain code decides only if plain code can do this very task.
        """
        choice, _ = await self._choose(account_id, text, tool_name)
        return choice

    async def delegate(self, assignment: Assignment) -> Outcome:
        """Have some work done, and wait for it; cancelled when the caller is.

        What goes wrong is told in the outcome, which then is `failed`.
        """
        choice, boosted = await self._choose(assignment.account_id, assignment.task, assignment.tool_name)
        task = await self._record(assignment, choice)
        if boosted is not None:
            done = Done(TaskStatus.COMPLETED, boosted)
        elif task.depth > MOST_DEPTH:
            done = Done(TaskStatus.FAILED, f"Work may be handed on {MOST_DEPTH} times, not more.")
        else:
            done = await self._have_done(assignment, task)
        await self._end(task, done)
        return Outcome(task_id=task.task_id, target=task.target, tier=task.tier, status=done.status, output=done.output)

    async def active(self, account_id: str) -> list[Task]:
        """List what goes on, oldest first."""
        async with self._database.reading() as database:
            return await TaskRepository(database).active(account_id)

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
            done = await self._look(task)
            if done is not None:
                await self._end(task, done)

    async def forget_old(self) -> None:
        """Delete what was handed on long ago."""
        forgotten = 1
        while forgotten:
            async with self._database.transaction() as tx:
                forgotten = await TaskRepository(tx).forget_old(KEPT)

    async def _choose(self, account_id: str, text: str, tool_name: str) -> tuple[Choice, str | None]:
        """Choose; plain code's result comes with the choice, since trying is how one knows that it can."""
        complexity = score(text)
        for rule in fitting(await self._rules.list_for(account_id), tool_name, complexity):
            if rule.target != BOOSTER:
                tier = tier_of(complexity)
                return Choice(target=rule.target, tier=tier, complexity=complexity, rule=rule.name), None
            try:
                boosted = booster.boost(tool_name, text)
            except booster.NotForBoosterError as error:
                structlog.get_logger().debug("booster_passed", tool=tool_name, reason=str(error))
                continue
            return Choice(target=BOOSTER, tier=1, complexity=complexity, rule=rule.name), boosted
        defaults = await self._configuration.defaults(account_id)
        return Choice(target=defaults.model, tier=tier_of(complexity), complexity=complexity), None

    async def _record(self, assignment: Assignment, choice: Choice) -> Task:
        async with self._database.transaction() as tx:
            repository = TaskRepository(tx)
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
                complexity=choice.complexity,
                depth=depth + 1,
                status=TaskStatus.PENDING,
                error="",
                started_at=self._clock.now(),
                completed_at=None,
            )
            await repository.insert(task)
        await self._show(task)
        return task

    async def _have_done(self, assignment: Assignment, task: Task) -> Done:
        """Have an agent's run do it, in a session of its own, and wait for that."""
        turns, run_id = self._turns(), ""
        try:
            async with asyncio.timeout(self._most.total_seconds()):
                run_id = await turns.start(await self._request(assignment, task))
                async with self._database.transaction() as tx:
                    started = await TaskRepository(tx).start(task.task_id, run_id)
                if started is not None:
                    await self._show(started)
                return _told(await self._until_over(turns, task.account_id, run_id))
        except TimeoutError:
            await self._cancel(turns, task, run_id)
            return Done(TaskStatus.FAILED, f"It was not done within {self._most.total_seconds():g} s.")
        except AppError as error:
            return Done(TaskStatus.FAILED, error.message)
        except asyncio.CancelledError:
            await asyncio.shield(self._break_off(turns, task, run_id))
            raise

    async def _request(self, assignment: Assignment, task: Task) -> TurnRequest:
        return TurnRequest(
            account_id=task.account_id,
            content=assignment.task,
            session_key=task.task_id,
            agent_id=await self._sessions.agent_of(task.account_id, assignment.session_key),
            is_session_made=True,
            idempotency_key=task.task_id,
            origin="delegation",
            by="service:agent-runtime",
            model=task.target,
            parent_run_id=assignment.run_id,
        )

    async def _until_over(self, turns: Turns, account_id: str, run_id: str) -> TurnResult:
        while True:
            result = await turns.wait(account_id, run_id, timeout_s=_LOOK_S)
            if result.status.is_over:
                return result
            if result.status is RunStatus.PENDING_APPROVAL:  # which `wait` does not wait for
                await asyncio.sleep(_APPROVAL_S)

    async def _break_off(self, turns: Turns, task: Task, run_id: str) -> None:
        await self._cancel(turns, task, run_id)
        await self._end(task, Done(TaskStatus.FAILED, "It was cancelled."))

    async def _cancel(self, turns: Turns, task: Task, run_id: str) -> None:
        if not run_id:
            return
        try:
            await turns.cancel(task.account_id, run_id)
        except AppError as error:
            structlog.get_logger().warning("delegation_not_cancelled", task=task.task_id, error=error.message)

    async def _look(self, task: Task) -> Done | None:
        """Look how a piece of work ended for which nobody may be waiting; None while it goes on."""
        if not task.child_run_id:
            return Done(TaskStatus.FAILED, "It was interrupted before it began.")
        try:
            result = await self._turns().wait(task.account_id, task.child_run_id, timeout_s=0)
        except UnavailableError:
            return None
        except AppError as error:
            return Done(TaskStatus.FAILED, error.message)
        return _told(result) if result.status.is_over else None

    async def _end(self, task: Task, done: Done) -> None:
        error = done.output[:MOST_ERROR] if done.status is TaskStatus.FAILED else ""
        async with self._database.transaction() as tx:
            ended = await TaskRepository(tx).end(task.task_id, done.status, error)
        if ended is not None:
            await self._show(ended)

    async def _show(self, task: Task) -> None:
        shown = msgspec.to_builtins(ActiveDelegation.of(task))
        await self._frames.publish(Frame(task.account_id, Topic.DELEGATION_UPDATE, Topic.DELEGATION_UPDATE, shown))


def _told(result: TurnResult) -> Done:
    if result.status is RunStatus.COMPLETED and result.message is not None:
        return Done(TaskStatus.COMPLETED, result.message.content)
    return Done(TaskStatus.FAILED, result.error or f"The run was {result.status}.")
