"""Calling tools on an agent's behalf."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog
from msgspec.structs import replace
from opentelemetry.trace import SpanKind

from agent_runtime.errors import ToolError
from agent_runtime.ports import Tool, ToolContext, ToolPolicy
from agent_runtime.runs.domain.answers import Answer
from agent_runtime.runs.domain.runs import CallRecord, CallStatus, EventType, Run
from agent_runtime.runs.domain.texts import shortened
from agent_runtime.runs.repositories.progress import ProgressRepository
from agent_runtime.runs.usecases.assembly import TurnContext
from agent_runtime.runs.usecases.recorder import Recorder
from shoal.database import Transaction
from shoal.errors import AppError
from shoal.telemetry import Tracing


class ToolExecutor:
    """Does what a model wants done: all calls of a step at once, each written down before it begins."""

    def __init__(self, *, tracing: Tracing) -> None:
        self._tracing = tracing

    async def perform(self, run: Run, turn: TurnContext, calls: Sequence[CallRecord], recorder: Recorder) -> None:
        """Call the tools that nobody has to be asked about any more; cancelling ends what they started."""
        open_calls = [call for call in calls if call.status is CallStatus.APPROVED]
        if not open_calls:
            return

        async def begin(tx: Transaction) -> None:
            await ProgressRepository(tx).begin_calls(run.id, [call.id for call in open_calls])

        await recorder.write(begin)
        try:
            async with asyncio.TaskGroup() as group:
                for call in open_calls:
                    group.create_task(self._perform_one(run, turn, call, recorder))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors  # that a result could not be stored: the first says why

    async def _perform_one(self, run: Run, turn: TurnContext, call: CallRecord, recorder: Recorder) -> None:
        context = ToolContext(
            account_id=run.account_id,
            agent_id=run.agent_id,
            session_key=run.session_key,
            run_id=run.id,
            call_id=call.id,
            workspace=turn.workspace,
        )
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": call.name,
            "gen_ai.tool.call.id": call.id,
        }
        with self._tracing.span(f"execute_tool {call.name}", kind=SpanKind.INTERNAL, attributes=attributes):
            status, result = await _outcome(turn.tools.get(call.name), call, context)

        async def end(tx: Transaction) -> None:
            await ProgressRepository(tx).end_call(run.id, call.id, status, result=result)
            recorder.note(EventType.TOOL_RESULT, result_payload(call, status, result))

        await recorder.write(end)
        await recorder.show("tool_result", {"id": call.id, "name": call.name, "result": result})


def recorded(answer: Answer, turn: TurnContext, *, run: Run, step: int) -> list[CallRecord]:
    """Decide what becomes of each call that a model wants: refused, asked about, or done."""
    return [
        _judged(
            CallRecord(
                id=f"call_{run.id[-8:]}_{step}_{place}",
                step=step,
                place=place,
                name=call.name,
                arguments=call.arguments,
                status=CallStatus.APPROVED,
            ),
            turn.tools,
            turn.policies,
        )
        for place, call in enumerate(answer.calls, start=1)
    ]


def result_payload(call: CallRecord, status: CallStatus, result: str) -> dict[str, object]:
    """Tell a result as events do."""
    return {"tool_call_id": call.id, "name": call.name, "status": str(status), "result": result}


def _judged(call: CallRecord, tools: Mapping[str, Tool], policies: Mapping[str, ToolPolicy]) -> CallRecord:
    if call.name not in policies:
        return replace(call, status=CallStatus.FAILED, result=f"There is no tool {call.name}.", is_error=True)
    if call.name not in tools:
        return replace(call, status=CallStatus.DENIED, result=f"{call.name} may not be used here.", is_error=True)
    return replace(call, status=CallStatus.PENDING_APPROVAL) if policies[call.name] is ToolPolicy.ASK else call


async def _outcome(tool: Tool | None, call: CallRecord, context: ToolContext) -> tuple[CallStatus, str]:
    """Call a tool, whatever comes of it."""
    if tool is None:
        return CallStatus.FAILED, f"There is no tool {call.name} any more."
    try:
        return CallStatus.COMPLETED, shortened(await tool.call(call.arguments, context))
    except ToolError as error:
        return CallStatus.FAILED, shortened(str(error))
    except AppError as error:
        return CallStatus.FAILED, error.message
    except Exception as error:  # noqa: BLE001 - a tool that breaks must not break the turn
        structlog.get_logger().error("tool_broke", tool=call.name, error=repr(error), exc_info=error)
        return CallStatus.FAILED, "The tool broke."
