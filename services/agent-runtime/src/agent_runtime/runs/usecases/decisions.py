"""What a decision about tool calls does."""

from collections.abc import Sequence

from agent_runtime.ports import RunStatus
from agent_runtime.runs.domain.runs import DENIED, CallRecord, CallStatus, EventType, Run
from agent_runtime.runs.errors import NothingToDecideError
from agent_runtime.runs.repositories.progress import ProgressRepository
from agent_runtime.runs.repositories.runs import RunRepository
from agent_runtime.runs.usecases.recorder import Recorder
from agent_runtime.runs.usecases.tool_executor import result_payload
from shoal.database import Transaction

TIMEOUT = "timeout"
"""Who decides when nobody did in time."""


async def decide(
    tx: Transaction, run: Run, ids: Sequence[str] | None, *, is_approved: bool, by: str, recorder: Recorder
) -> None:
    """Decide about calls of a locked run that wait; the run may be taken again once none does.

    Raises:
        NothingToDecideError: None of these calls waits.
    """
    progress = ProgressRepository(tx)
    waiting = {call.id: call for call in await progress.calls(run.id) if _waits(call)}
    chosen = [name for name in waiting if ids is None or name in ids]
    if not chosen:
        raise NothingToDecideError
    status = CallStatus.APPROVED if is_approved else CallStatus.DENIED
    await progress.decide(run.id, chosen, status, by=by, result=None if is_approved else DENIED)
    for name in chosen:
        payload = {"tool_call_id": name, "name": waiting[name].name, "decision": str(status), "by": by}
        recorder.note(EventType.APPROVAL_DECIDED, payload)
        if not is_approved:
            recorder.note(EventType.TOOL_RESULT, result_payload(waiting[name], status, DENIED))
    await recorder.store(tx)
    if len(chosen) == len(waiting):
        await RunRepository(tx).move(run.id, RunStatus.QUEUED)


def _waits(call: CallRecord) -> bool:
    return call.status is CallStatus.PENDING_APPROVAL
