"""How runs end: with an answer, or with what there is of one.

An ending is one transaction: the agent's message, the last event, the run's row and the fact. So whoever sees that a
run is over finds the session complete, and a session never shows a turn twice.
"""

from agent_runtime.ports import Message, PipelineLog, RunStatus, Sessions, TimedTurn, Usage, message_payload
from agent_runtime.runs.domain.endings import Completion, End, Progress
from agent_runtime.runs.domain.history import message_steps, whole_text
from agent_runtime.runs.domain.runs import EventType, Run
from agent_runtime.runs.repositories.endings import EndingRepository
from agent_runtime.runs.repositories.progress import ProgressRepository
from agent_runtime.runs.repositories.runs import RunRepository
from agent_runtime.runs.repositories.tallies import TallyRepository
from agent_runtime.runs.usecases.facts import Facts
from agent_runtime.runs.usecases.recorder import Recorder, Records
from shoal.clock import Clock
from shoal.database import Transaction
from shoal.ids import new_id


class Endings:
    """Ends runs."""

    def __init__(
        self,
        *,
        records: Records,
        sessions: Sessions,
        usage: Usage,
        pipeline_log: PipelineLog,
        facts: Facts,
        clock: Clock,
    ) -> None:
        self._records = records
        self._sessions = sessions
        self._usage = usage
        self._pipeline_log = pipeline_log
        self._facts = facts
        self._clock = clock

    async def complete(
        self,
        tx: Transaction,
        run: Run,
        progress: Progress,
        recorder: Recorder,
        timed: TimedTurn,
        *,
        score: float,
        tokens: int,
    ) -> bool:
        """End a run with its answer, inside the worker's transaction, which has recorded its last call and the turn.

        Its last step is written with that.

        `score` is how well it went, 0 to 1, `tokens` what its last call of a model took. Returns whether another run of
        its session waits.
        """
        message = await self._say(tx, run, progress, is_incomplete=False)
        assert message is not None  # noqa: S101 - a complete course has a last step
        recorder.note(EventType.COMPLETED, {"message": message_payload(message)})
        ended = Completion(
            step=progress.steps[-1],
            events=recorder.hand_over(tx),
            complexity=timed.complexity,
            tier=timed.tier,
            score=score,
            latency_ms=timed.latency_ms,
            tokens=tokens,
            counting=new_id("ep"),
        )
        completed = await EndingRepository(tx).complete(run, ended)
        await self._facts.completed(tx, run, completed.version, timed, progress.steps)
        _show_later(recorder, message)
        return completed.is_followed

    async def break_off(self, tx: Transaction, run: Run, end: End, recorder: Recorder | None = None) -> None:
        """End a run without its answer: what there is of one is kept, and what its tools did."""
        recorder = recorder or self._records.of(run)
        await recorder.store(tx)
        progress = ProgressRepository(tx)
        await progress.drop_open_calls(run.id, is_known=end.status is not RunStatus.INTERRUPTED)
        await self._usage.give_back(tx, run.id)
        steps, calls = await progress.steps(run.id), await progress.calls(run.id)
        rest = await progress.text_of_step(run.id, len(steps) + 1)
        message = await self._say(tx, run, Progress(steps, calls, rest), is_incomplete=True)
        recorder.note(
            EventType(end.status), {"message": None if message is None else message_payload(message)} | end.payload
        )
        await recorder.store(tx)
        version = await RunRepository(tx).move(
            run.id, end.status, spent_ms=end.spent_ms, error_code=end.code, error=end.error
        )
        await self._facts.broken_off(tx, run, version, end.status, code=end.code)
        if end.timed is not None:
            await self._pipeline_log.record(tx, end.timed)
            await TallyRepository(tx).count_error(
                run.account_id, run.agent_id, epoch=new_id("ep"), latency_ms=end.timed.latency_ms
            )
        _show_later(recorder, message)

    async def _say(self, tx: Transaction, run: Run, progress: Progress, *, is_incomplete: bool) -> Message | None:
        """Append the agent's message, if there is anything to say."""
        steps = message_steps(progress.steps, progress.calls, progress.rest)
        if not steps:
            return None
        message = Message(
            id=new_id("msg"),
            role="assistant",
            content=whole_text(steps),
            timestamp=self._clock.now(),
            run_id=run.id,
            tool_calls=tuple(call.to_tool_call() for call in progress.calls),
            steps=steps,
            is_incomplete=is_incomplete,
        )
        await self._sessions.say(tx, run.session_id, message)
        return message


def _show_later(recorder: Recorder, message: Message | None) -> None:
    async def show() -> None:
        if message is not None:
            await recorder.show_message(message)
        await recorder.show("stream_done", {})

    recorder.afterwards(show)
