"""Doing a turn.

A turn is a row that can be taken up at any step: what the model said and what the tools answered is stored before the
next step begins. So a turn that waits for approval holds no process, and goes on wherever there is one.
"""

import asyncio
from datetime import timedelta

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from agent_runtime.ports import Frames, RunStatus, TimedTurn
from agent_runtime.runs.domain.answers import Answer
from agent_runtime.runs.domain.endings import CANCELLED, End, Progress
from agent_runtime.runs.domain.runs import EventType, Run
from agent_runtime.runs.domain.scores import score_of
from agent_runtime.runs.errors import RunTooLongError
from agent_runtime.runs.repositories.runs import RunRepository
from agent_runtime.runs.usecases.agent_loop import AgentLoop
from agent_runtime.runs.usecases.assembly import Assembly, TurnContext
from agent_runtime.runs.usecases.beginnings import ClaimedRun
from agent_runtime.runs.usecases.endings import Endings
from agent_runtime.runs.usecases.pipeline import Pipeline, Stage
from shoal.clock import Clock
from shoal.database import Transaction
from shoal.errors import AppError
from shoal.telemetry import Tracing


class Engine:
    """Does runs.

    Args:
        timeout: How long a run may take, approvals not counted.
    """

    def __init__(
        self,
        *,
        assembly: Assembly,
        agent_loop: AgentLoop,
        endings: Endings,
        frames: Frames,
        clock: Clock,
        tracing: Tracing,
        timeout: timedelta,
    ) -> None:
        self._assembly = assembly
        self._agent_loop = agent_loop
        self._endings = endings
        self._frames = frames
        self._clock = clock
        self._tracing = tracing
        self._max_s = timeout.total_seconds()

    async def perform(self, claimed: ClaimedRun) -> bool:
        """Do a run up to its end, or to where people must decide; returns whether another of its session may wait.

        Raises:
            LeaseLostError: This process was taken for dead; the run is over.
            DatabaseUnavailableError: What came to pass could not be stored.
        """
        run = claimed.run
        pipeline = Pipeline(run, self._frames)
        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.id": run.agent_id,
            "gen_ai.conversation.id": run.session_key,
        }
        with self._tracing.span("invoke_agent", kind=SpanKind.INTERNAL, parent=run.traceparent, attributes=attributes):
            context: TurnContext | None = None
            try:
                async with asyncio.timeout(max(0.0, self._max_s - run.spent_ms / 1000)):
                    context = await self._assembly.prepare(run, claimed.messages, pipeline, agent=claimed.agent)
                    async with pipeline.stage(Stage.TRANSPORT):
                        turn = await self._agent_loop.converse(claimed, context, pipeline)
                if turn is not None:  # shielded: an answer that is there is not lost to whoever cancels now
                    return await asyncio.shield(self._finish(claimed, context, pipeline, *turn))
            except TimeoutError:
                await self._fail(claimed, context, pipeline, RunTooLongError())
            except AppError as error:
                await self._fail(claimed, context, pipeline, error)
        return True

    async def break_off(self, claimed: ClaimedRun, end: End) -> None:
        """End a run that did not come to its end itself; one that did stays so, though nobody heard of it.

        Raises:
            LeaseLostError: This process was taken for dead; the run is over.
            DatabaseUnavailableError: It could not be stored.
        """

        async def break_off(tx: Transaction) -> None:
            status = (await RunRepository(tx).lock(claimed.run.id)).status
            if status is RunStatus.RUNNING or (status is RunStatus.PENDING_APPROVAL and end is CANCELLED):
                await self._endings.break_off(tx, claimed.run, end, claimed.recorder)

        await claimed.recorder.write(break_off)

    async def _fail(
        self, claimed: ClaimedRun, context: TurnContext | None, pipeline: Pipeline, error: AppError
    ) -> None:
        model = str(context.models[0]) if context else claimed.run.model
        end = End(
            status=RunStatus.FAILED,
            code=error.code,
            error=error.message,
            spent_ms=pipeline.elapsed_ms,
            timed=self._timed(claimed.run, context, pipeline, model=model, is_success=False),
        )
        await self.break_off(claimed, end)

    async def _finish(
        self, claimed: ClaimedRun, context: TurnContext, pipeline: Pipeline, progress: Progress, answer: Answer
    ) -> bool:
        run, recorder = claimed.run, claimed.recorder
        async with pipeline.stage(Stage.SCORER):
            score = score_of(progress.calls)

        async def complete(tx: Transaction) -> bool:
            timed = self._timed(run, context, pipeline, model=str(answer.model), is_success=True)
            tokens = await self._agent_loop.settle(tx, run, answer, timed)
            recorder.note(EventType.USAGE, _usage(progress))
            return await self._endings.complete(tx, run, progress, recorder, timed, score=score, tokens=tokens)

        async with pipeline.stage(Stage.LEARNER):
            return await recorder.write(complete)

    def _timed(
        self, run: Run, context: TurnContext | None, pipeline: Pipeline, *, model: str, is_success: bool
    ) -> TimedTurn:
        """Tell how long a turn and its stages took."""
        trace_id = trace.get_current_span().get_span_context().trace_id
        return TimedTurn(
            run_id=run.id,
            account_id=run.account_id,
            agent_id=run.agent_id,
            session_key=run.session_key,
            model=model,
            complexity=context.complexity if context else 0.0,
            tier=context.tier if context else 2,
            latency_ms=run.spent_ms + pipeline.elapsed_ms,
            is_success=is_success,
            stages=pipeline.timings(),
            trace_id=f"{trace_id:032x}" if trace_id else "",
            at=self._clock.now(),
        )


def _usage(progress: Progress) -> dict[str, int]:
    return {
        "input_tokens": sum(step.input_tokens for step in progress.steps),
        "output_tokens": sum(step.output_tokens for step in progress.steps),
    }
