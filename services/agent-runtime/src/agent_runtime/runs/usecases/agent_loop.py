"""Letting model and tools take turns, until the model has said all, or people must decide first."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from agent_runtime.ports import RunStatus, TimedTurn
from agent_runtime.runs.domain.answers import Answer
from agent_runtime.runs.domain.endings import Progress
from agent_runtime.runs.domain.history import continued
from agent_runtime.runs.domain.runs import CallRecord, CallStatus, EventType, Run, StepRecord
from agent_runtime.runs.errors import TooManyStepsError
from agent_runtime.runs.repositories.progress import ProgressRepository
from agent_runtime.runs.repositories.runs import RunRepository
from agent_runtime.runs.repositories.tallies import TallyRepository
from agent_runtime.runs.usecases.assembly import TurnContext
from agent_runtime.runs.usecases.beginnings import ClaimedRun
from agent_runtime.runs.usecases.facts import Facts
from agent_runtime.runs.usecases.pipeline import Pipeline
from agent_runtime.runs.usecases.recorder import Recorder
from agent_runtime.runs.usecases.tool_executor import ToolExecutor, recorded, result_payload
from agent_runtime.runs.usecases.transport import Transport
from shoal.database import Database, Transaction
from shoal.ids import new_id

MAX_STEPS = 20


class AgentLoop:
    """The steps of a turn; what came of each is stored before the next begins.

    Args:
        approval: How long calls of tools wait for people.
    """

    def __init__(
        self,
        *,
        database: Database,
        transport: Transport,
        tool_executor: ToolExecutor,
        facts: Facts,
        approval: timedelta,
    ) -> None:
        self._database = database
        self._transport = transport
        self._tool_executor = tool_executor
        self._facts = facts
        self._approval = approval

    async def converse(
        self, claimed: ClaimedRun, context: TurnContext, pipeline: Pipeline
    ) -> tuple[Progress, Answer] | None:
        """Take steps up to the last one, which is not stored yet; None when people must decide first.

        Raises:
            TooManyStepsError: There were as many as there may be.
            AppError: No model answered; why.
        """
        run, recorder = claimed.run, claimed.recorder
        steps, calls = list(claimed.progress.steps), list(claimed.progress.calls)
        while len(steps) < MAX_STEPS:
            await self._tool_executor.perform(run, context, calls, recorder)
            if steps:
                calls = list(await self._calls(run))
            number = len(steps) + 1
            recorder.begin_step(number, offset=sum(len(step.text) for step in steps))
            answer = await self._transport.answer(run, context, (*context.history, *continued(steps, calls)), recorder)
            steps.append(_step(number, answer))
            if not answer.calls:
                return Progress(steps, calls), answer
            wanted = recorded(answer, context, run=run, step=number)
            noting = self._note_step(claimed, context, steps[-1], wanted, answer, pipeline)
            if await asyncio.shield(noting):  # what an answer took is counted, whoever cancels now
                return None
            calls += wanted
        raise TooManyStepsError

    async def settle(self, tx: Transaction, run: Run, answer: Answer, turn: TimedTurn) -> int:
        """Record what the last answer took, and the turn; returns how many tokens that was."""
        return await self._transport.settle(tx, run, answer, tier=turn.tier, turn=turn)

    async def _calls(self, run: Run) -> Sequence[CallRecord]:
        async with self._database.reading() as database:
            return await ProgressRepository(database).calls(run.id)

    async def _note_step(
        self,
        claimed: ClaimedRun,
        context: TurnContext,
        step: StepRecord,
        wanted: Sequence[CallRecord],
        answer: Answer,
        pipeline: Pipeline,
    ) -> bool:
        """Store a step whose tools are not called yet; returns whether people must decide first."""
        run, recorder = claimed.run, claimed.recorder
        waiting = [call for call in wanted if call.status is CallStatus.PENDING_APPROVAL]

        async def note(tx: Transaction) -> None:
            _note_calls(wanted, recorder)
            await ProgressRepository(tx).add_step(run.id, step)
            await ProgressRepository(tx).add_calls(run.id, wanted, approval=self._approval)
            tokens = await self._transport.settle(tx, run, answer, tier=context.tier)
            await TallyRepository(tx).count_tokens(run.account_id, run.agent_id, tokens, epoch=new_id("ep"))
            if waiting:
                await self._ask(tx, run, waiting, recorder, pipeline)

        await recorder.write(note)
        for call in wanted:
            await recorder.show("tool_call", {"id": call.id, "name": call.name, "arguments": call.arguments})
        return bool(waiting)

    async def _ask(
        self, tx: Transaction, run: Run, waiting: Sequence[CallRecord], recorder: Recorder, pipeline: Pipeline
    ) -> None:
        """Let the run wait, without a worker, until people have decided."""
        recorder.note(EventType.APPROVAL_REQUESTED, {"tool_call_ids": [call.id for call in waiting]})
        version = await RunRepository(tx).move(run.id, RunStatus.PENDING_APPROVAL, spent_ms=pipeline.elapsed_ms)
        await self._facts.approval_requested(tx, run, version, waiting)
        tools = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in waiting]

        async def show() -> None:
            await recorder.show("approval_requested", {"tool_calls": tools})

        recorder.afterwards(show)


def _note_calls(wanted: Sequence[CallRecord], recorder: Recorder) -> None:
    for call in wanted:
        payload = {
            "tool_call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
            "status": str(call.status),
        }
        recorder.note(EventType.TOOL_CALL, payload)
        if call.status.is_over:
            recorder.note(EventType.TOOL_RESULT, result_payload(call, call.status, call.result or ""))


def _step(number: int, answer: Answer) -> StepRecord:
    return StepRecord(
        number=number,
        text=answer.text,
        model=str(answer.model),
        input_tokens=answer.usage.input_tokens,
        output_tokens=answer.usage.output_tokens,
    )
