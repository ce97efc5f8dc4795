"""Doing a turn.

A turn is a row that can be taken up at any step: what the model said and what the tools answered is stored before the
next step begins. So a turn that waits for approval holds no process, and goes on wherever there is one.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from msgspec import Struct
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from agent_runtime.ports import Message, RunStatus, Sessions, TimedTurn
from agent_runtime.runs.domain.conversation import continued
from agent_runtime.runs.domain.runs import CallRecord, CallStatus, EventType, Run, StepRecord
from agent_runtime.runs.domain.scores import score_of
from agent_runtime.runs.errors import RunTooLongError, TooManyStepsError
from agent_runtime.runs.repositories.course import CourseRepository
from agent_runtime.runs.repositories.runs import RunRepository
from agent_runtime.runs.usecases.acting import Acting, recorded, result_told
from agent_runtime.runs.usecases.assembly import Assembly, Scene
from agent_runtime.runs.usecases.endings import Course, Endings, message_frame
from agent_runtime.runs.usecases.pipeline import Pipeline
from agent_runtime.runs.usecases.recorder import Recorder
from agent_runtime.runs.usecases.transport import Answer, Transport
from shoal.clock import Clock
from shoal.database import Database, Transaction
from shoal.errors import AppError
from shoal.ids import new_id
from shoal.leases import Lease
from shoal.outbox import Outbox
from shoal.telemetry import Tracing
from shoal_events import RunApprovalRequested, RunStarted

MOST_STEPS = 20
HISTORY = 50
"""How many messages of a session a turn looks back at."""


class Taken(Struct, frozen=True):
    """A run that this process has taken, and all that was said and done before."""

    run: Run
    messages: Sequence[Message]
    course: Course
    recorder: Recorder


class Engine:
    """Takes runs and does them."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        sessions: Sessions,
        assembly: Assembly,
        transport: Transport,
        acting: Acting,
        endings: Endings,
        clock: Clock,
        tracing: Tracing,
        approval: timedelta,
        most: timedelta,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._sessions = sessions
        self._assembly = assembly
        self._transport = transport
        self._acting = acting
        self._endings = endings
        self._clock = clock
        self._tracing = tracing
        self._approval = approval
        self._most_s = most.total_seconds()

    async def take(self, session_id: str, lease: Lease) -> Taken | None:
        """Take a session's next run, if it waits to be taken; its message is said with that."""
        async with self._database.reading() as database:
            if not await RunRepository(database).is_waiting(session_id):
                return None
        async with self._database.transaction() as tx:
            return await self.take_within(tx, session_id, lease)

    async def take_within(self, tx: Transaction, session_id: str, lease: Lease) -> Taken | None:
        """Take a session's next run inside a transaction; it is taken once that is committed."""
        run = await RunRepository(tx).claim(session_id, worker=lease.key, epoch=lease.epoch)
        if run is None:
            return None
        recorder = self._endings.recorder(run)
        course = CourseRepository(tx)
        is_new = run.last_seq <= 1
        done = Course((), ()) if is_new else Course(await course.steps(run.id), await course.calls(run.id))
        if is_new:
            await self._begin(tx, run, recorder)
        else:
            recorder.note(EventType.RESUMED, {})
        await recorder.store(tx)
        return Taken(run, await self._sessions.said(tx, run.session_id, HISTORY), done, recorder)

    async def perform(self, taken: Taken) -> None:
        """Do a run up to its end, or to where people must decide.

        Raises:
            LeaseLostError: This process was taken for dead; the run is over.
            DatabaseUnavailableError: What came to pass could not be stored.
        """
        run = taken.run
        pipeline = Pipeline(run, self._endings.frames)
        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.id": run.agent_id,
            "gen_ai.conversation.id": run.session_key,
        }
        with self._tracing.span("invoke_agent", kind=SpanKind.INTERNAL, parent=run.traceparent, attributes=attributes):
            scene: Scene | None = None
            try:
                async with asyncio.timeout(max(0.0, self._most_s - run.spent_ms / 1000)):
                    scene = await self._assembly.prepare(run, taken.messages, pipeline)
                    async with pipeline.stage("transport"):
                        turn = await self._converse(taken, scene, pipeline)
                if turn is not None:  # shielded: an answer that is there is not lost to whoever cancels now
                    await asyncio.shield(self._finish(taken, scene, pipeline, *turn))
            except TimeoutError:
                await self._fail(taken, scene, pipeline, RunTooLongError())
            except AppError as error:
                await self._fail(taken, scene, pipeline, error)

    async def break_off(self, taken: Taken, status: RunStatus, *, code: str = "", error: str = "") -> None:
        """End a run that did not come to its end itself.

        Raises:
            LeaseLostError: This process was taken for dead; the run is over.
            DatabaseUnavailableError: It could not be stored.
        """
        async with taken.recorder.writing() as tx:
            if (await RunRepository(tx).lock(taken.run.id)).status is RunStatus.RUNNING:
                await self._endings.break_off(tx, taken.run, status, taken.recorder, code=code, error=error)

    async def _fail(self, taken: Taken, scene: Scene | None, pipeline: Pipeline, error: AppError) -> None:
        run = taken.run
        model = str(scene.models[0]) if scene else run.model
        timed = self._timed(run, scene, pipeline, model=model, is_success=False)
        async with taken.recorder.writing() as tx:
            await self._endings.break_off(
                tx,
                run,
                RunStatus.FAILED,
                taken.recorder,
                code=error.code,
                error=error.message,
                spent_ms=pipeline.elapsed_ms,
                timed=timed,
            )

    async def _begin(self, tx: Transaction, run: Run, recorder: Recorder) -> None:
        message = Message(
            id=new_id("msg"), role="user", content=run.content, timestamp=self._clock.now(), run_id=run.id
        )
        await self._sessions.say(tx, run.session_id, message)
        recorder.note(EventType.STARTED, {})
        await self._outbox.append(
            tx,
            RunStarted(
                run_id=run.id,
                account_id=run.account_id,
                agent_id=run.agent_id,
                session_key=run.session_key,
                version=run.version,
                model=run.model,
            ),
        )

        async def show() -> None:
            await self._endings.frames.publish(message_frame(run, message))

        tx.after_commit(show)

    async def _converse(self, taken: Taken, scene: Scene, pipeline: Pipeline) -> tuple[Course, Answer] | None:
        """Let model and tools take turns; None when people must decide first."""
        run, recorder = taken.run, taken.recorder
        steps, calls = list(taken.course.steps), list(taken.course.calls)
        while len(steps) < MOST_STEPS:
            await self._acting.perform(run, scene, calls, recorder)
            if steps:
                calls = list(await self._calls(run))
            number = len(steps) + 1
            recorder.begin_step(number, offset=sum(len(step.text) for step in steps))
            answer = await self._transport.answer(run, scene, (*scene.said, *continued(steps, calls)), recorder)
            steps.append(
                StepRecord(
                    number=number,
                    text=answer.text,
                    model=str(answer.model),
                    input_tokens=answer.usage.input_tokens,
                    output_tokens=answer.usage.output_tokens,
                )
            )
            if not answer.calls:
                return Course(steps, calls), answer
            wanted = recorded(answer, scene, run=run, step=number)
            if await self._note_step(taken, scene, steps[-1], wanted, answer, pipeline):
                return None
            calls += wanted
        raise TooManyStepsError

    async def _calls(self, run: Run) -> Sequence[CallRecord]:
        async with self._database.reading() as database:
            return await CourseRepository(database).calls(run.id)

    async def _note_step(
        self,
        taken: Taken,
        scene: Scene,
        step: StepRecord,
        wanted: Sequence[CallRecord],
        answer: Answer,
        pipeline: Pipeline,
    ) -> bool:
        """Store a step whose tools are not called yet; returns whether people must decide first."""
        run, recorder = taken.run, taken.recorder
        waiting = [call for call in wanted if call.status is CallStatus.PENDING_APPROVAL]
        for call in wanted:
            told = {"tool_call_id": call.id, "name": call.name, "arguments": call.arguments, "status": str(call.status)}
            recorder.note(EventType.TOOL_CALL, told)
            if call.status.is_over:
                recorder.note(EventType.TOOL_RESULT, result_told(call, call.status, call.result or ""))
        async with recorder.writing() as tx:
            await CourseRepository(tx).add_step(run.id, step)
            await CourseRepository(tx).add_calls(run.id, wanted, approval=self._approval)
            await self._transport.settle(tx, run, answer, tier=scene.tier)
            if waiting:
                await self._ask(tx, run, waiting, recorder, pipeline)
        for call in wanted:
            await recorder.show("tool_call", {"id": call.id, "name": call.name, "arguments": call.arguments})
        return bool(waiting)

    async def _ask(
        self, tx: Transaction, run: Run, waiting: Sequence[CallRecord], recorder: Recorder, pipeline: Pipeline
    ) -> None:
        """Let the run wait, without a worker, until people have decided."""
        recorder.note(EventType.APPROVAL_REQUESTED, {"tool_call_ids": [call.id for call in waiting]})
        version = await RunRepository(tx).move(run.id, RunStatus.PENDING_APPROVAL, spent_ms=pipeline.elapsed_ms)
        await self._outbox.append(
            tx,
            RunApprovalRequested(
                run_id=run.id,
                account_id=run.account_id,
                agent_id=run.agent_id,
                session_key=run.session_key,
                version=version,
                tools=tuple(call.name for call in waiting),
            ),
        )
        tools = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in waiting]

        async def show() -> None:
            await recorder.show("approval_requested", {"tool_calls": tools})

        tx.after_commit(show)

    async def _finish(self, taken: Taken, scene: Scene, pipeline: Pipeline, course: Course, answer: Answer) -> None:
        run, recorder = taken.run, taken.recorder
        async with pipeline.stage("scorer"):
            score = score_of(course.calls)
        async with pipeline.stage("learner"), recorder.writing() as tx:
            await CourseRepository(tx).add_step(run.id, course.steps[-1])
            await self._transport.settle(tx, run, answer, tier=scene.tier)
            recorder.note(EventType.USAGE, _usage(course))
            timed = self._timed(run, scene, pipeline, model=str(answer.model), is_success=True)
            await self._endings.complete(tx, run, course, recorder, timed, score=score)

    def _timed(self, run: Run, scene: Scene | None, pipeline: Pipeline, *, model: str, is_success: bool) -> TimedTurn:
        """Tell how long a turn and its stages took."""
        trace_id = trace.get_current_span().get_span_context().trace_id
        return TimedTurn(
            run_id=run.id,
            account_id=run.account_id,
            agent_id=run.agent_id,
            session_key=run.session_key,
            model=model,
            complexity=scene.complexity if scene else 0.0,
            tier=scene.tier if scene else 2,
            latency_ms=run.spent_ms + pipeline.elapsed_ms,
            is_success=is_success,
            stages=pipeline.timings(),
            trace_id=f"{trace_id:032x}" if trace_id else "",
            at=self._clock.now(),
        )


def _usage(course: Course) -> dict[str, int]:
    return {
        "input_tokens": sum(step.input_tokens for step in course.steps),
        "output_tokens": sum(step.output_tokens for step in course.steps),
    }
