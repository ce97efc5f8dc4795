"""How runs end: with an answer, or with what there is of one.

An ending is one transaction: the agent's message, the last event, the run's row and the fact. So whoever sees that a
run is over finds the session complete, and a session never shows a turn twice.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from agent_runtime.ports import Frame, Frames, Message, PipelineLog, RunStatus, Sessions, TimedTurn, Topic
from agent_runtime.runs.clients.live import Live
from agent_runtime.runs.domain.conversation import message_steps, message_told, whole_text
from agent_runtime.runs.domain.runs import CallRecord, EventType, Run, StepRecord
from agent_runtime.runs.repositories.course import CourseRepository
from agent_runtime.runs.repositories.runs import RunRepository
from agent_runtime.runs.repositories.tallies import TallyRepository
from agent_runtime.runs.usecases.recorder import Recorder
from shoal.clock import Clock
from shoal.database import Database, Transaction
from shoal.ids import new_id
from shoal.leases import Leases
from shoal.outbox import Outbox
from shoal_events import Event, RunCancelled, RunCompleted, RunFailed, RunInterrupted


class Course(Struct, frozen=True):
    """What was said and done in a run."""

    steps: Sequence[StepRecord]
    calls: Sequence[CallRecord]
    rest: str = ""


class Endings:
    """Ends runs."""

    def __init__(
        self,
        *,
        database: Database,
        leases: Leases,
        outbox: Outbox,
        live: Live,
        frames: Frames,
        sessions: Sessions,
        pipeline_log: PipelineLog,
        clock: Clock,
    ) -> None:
        self._database = database
        self._leases = leases
        self._outbox = outbox
        self._live = live
        self.frames = frames
        self._sessions = sessions
        self._pipeline_log = pipeline_log
        self._clock = clock

    def recorder(self, run: Run) -> Recorder:
        """Make the recorder of a run."""
        return Recorder(run, database=self._database, leases=self._leases, live=self._live, frames=self.frames)

    async def complete(
        self, tx: Transaction, run: Run, course: Course, recorder: Recorder, timed: TimedTurn, *, score: float
    ) -> None:
        """End a run with its answer, inside the worker's transaction."""
        await self._pipeline_log.record(tx, timed)
        message = await self._say(tx, run, course, is_incomplete=False)
        assert message is not None  # noqa: S101 - a complete course has a last step
        recorder.note(EventType.COMPLETED, {"message": message_told(message)})
        version = await RunRepository(tx).complete(
            run.id,
            model=timed.model,
            complexity=timed.complexity,
            tier=timed.tier,
            score=score,
            spent_ms=timed.latency_ms - run.spent_ms,
        )
        await self._outbox.append(
            tx,
            RunCompleted(
                run_id=run.id,
                account_id=run.account_id,
                agent_id=run.agent_id,
                session_key=run.session_key,
                version=version,
                model=timed.model,
                input_tokens=sum(step.input_tokens for step in course.steps),
                output_tokens=sum(step.output_tokens for step in course.steps),
                duration_ms=timed.latency_ms,
            ),
        )
        await self._count(tx, run, timed, is_error=False)
        self._show_later(tx, run, message)

    async def break_off(
        self,
        tx: Transaction,
        run: Run,
        status: RunStatus,
        recorder: Recorder,
        *,
        code: str = "",
        error: str = "",
        spent_ms: float = 0,
        timed: TimedTurn | None = None,
    ) -> None:
        """End a run without its answer: what there is of one is kept, and what its tools did."""
        await recorder.store(tx)
        course = CourseRepository(tx)
        await course.drop_open_calls(run.id, is_known=status is not RunStatus.INTERRUPTED)
        steps, calls = await course.steps(run.id), await course.calls(run.id)
        rest = await course.text_of_step(run.id, len(steps) + 1)
        message = await self._say(tx, run, Course(steps, calls, rest), is_incomplete=True)
        told: dict[str, Any] = {"message": None if message is None else message_told(message)}
        recorder.note(EventType(status), told | ({"error": {"code": code, "message": error}} if code else {}))
        await recorder.store(tx)
        version = await RunRepository(tx).move(run.id, status, spent_ms=spent_ms, error_code=code, error=error)
        await self._outbox.append(tx, _fact(run, status, version, code))
        if timed is not None:
            await self._pipeline_log.record(tx, timed)
            await self._count(tx, run, timed, is_error=True)
        self._show_later(tx, run, message)

    async def _count(self, tx: Transaction, run: Run, timed: TimedTurn, *, is_error: bool) -> None:
        await TallyRepository(tx).count(
            run.account_id, run.agent_id, epoch=new_id("ep"), latency_ms=timed.latency_ms, is_error=is_error
        )

    async def _say(self, tx: Transaction, run: Run, course: Course, *, is_incomplete: bool) -> Message | None:
        """Append the agent's message, if there is anything to say."""
        steps = message_steps(course.steps, course.calls, course.rest)
        if not steps:
            return None
        message = Message(
            id=new_id("msg"),
            role="assistant",
            content=whole_text(steps),
            timestamp=self._clock.now(),
            run_id=run.id,
            tool_calls=tuple(call.told() for call in course.calls),
            steps=steps,
            is_incomplete=is_incomplete,
        )
        await self._sessions.say(tx, run.session_id, message)
        return message

    def _show_later(self, tx: Transaction, run: Run, message: Message | None) -> None:
        tx.after_commit(partial(self._show, run, message))

    async def _show(self, run: Run, message: Message | None) -> None:
        if message is not None:
            await self.frames.publish(message_frame(run, message))
        await self.recorder(run).show("stream_done", {})


def message_frame(run: Run, message: Message) -> Frame:
    """Show a committed message to the account's browsers."""
    told = message_told(message) | {"session_key": run.session_key, "origin": run.origin}
    return Frame(run.account_id, Topic.CHAT_MESSAGE, Topic.CHAT_MESSAGE, told)


def _fact(run: Run, status: RunStatus, version: int, code: str) -> Event:
    about: dict[str, Any] = {
        "run_id": run.id,
        "account_id": run.account_id,
        "agent_id": run.agent_id,
        "session_key": run.session_key,
        "version": version,
    }
    if status is RunStatus.FAILED:
        return RunFailed(**about, code=code)
    return RunCancelled(**about) if status is RunStatus.CANCELLED else RunInterrupted(**about)
