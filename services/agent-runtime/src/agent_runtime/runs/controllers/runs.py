"""HTTP: runs, following them, ending them, and deciding about their tools."""

from typing import Annotated

from litestar import Controller, get, post
from litestar.params import Parameter
from litestar.response import Stream

from agent_runtime.runs.controllers.streams import HEADERS, to_stream
from agent_runtime.runs.schemas import ApprovalView, DecideCalls, RunDetail
from agent_runtime.runs.usecases.approvals import Approvals
from agent_runtime.runs.usecases.following import Following
from agent_runtime.runs.usecases.turns import Turns
from shoal.http.auth import require_user
from shoal.identity import Principal

LastEventId = Annotated[int, Parameter(header="Last-Event-ID", ge=0, le=2**31 - 1)]
After = Annotated[int, Parameter(ge=0, le=2**31 - 1)]


class RunController(Controller):
    """Runs as resources."""

    path = "/api/runs"
    tags = ("runs",)
    guards = (require_user,)

    @get("/{run_id:str}", operation_id="getRun", summary="Show a run")
    async def show(self, run_id: str, principal: Principal, turns: Turns) -> RunDetail:
        """Show a run and the calls of its tools."""
        return RunDetail.from_course(*await turns.show(principal.account_id, run_id))

    @post("/{run_id:str}/cancel", operation_id="cancelRun", summary="End a run", status_code=200)
    async def cancel(self, run_id: str, principal: Principal, turns: Turns) -> RunDetail:
        """End a run: its model's stream, its tools, their processes; nothing happens to one that is over."""
        await turns.cancel(principal.account_id, run_id)
        return RunDetail.from_course(*await turns.show(principal.account_id, run_id))

    @get("/{run_id:str}/stream", operation_id="followRun", summary="Follow a run", media_type="text/event-stream")
    async def follow(
        self, run_id: str, principal: Principal, following: Following, last_event_id: LastEventId = 0, after: After = 0
    ) -> Stream:
        """Follow a run as server-sent events, from behind `Last-Event-ID` or `after`."""
        items = await following.follow(principal.account_id, run_id, after=max(last_event_id, after))
        return Stream(to_stream(run_id, items), media_type="text/event-stream", headers=HEADERS)

    @post("/{run_id:str}/approve", operation_id="approveToolCalls", summary="Approve tool calls", status_code=200)
    async def approve(
        self,
        run_id: str,
        principal: Principal,
        approvals: Approvals,
        turns: Turns,
        data: DecideCalls | None = None,
    ) -> RunDetail:
        """Let tool calls that wait go ahead; all of them, unless some are named."""
        ids = None if data is None else data.tool_call_ids
        await approvals.decide(principal.account_id, run_id, ids, is_approved=True, by=principal.subject)
        return RunDetail.from_course(*await turns.show(principal.account_id, run_id))

    @post("/{run_id:str}/deny", operation_id="denyToolCalls", summary="Deny tool calls", status_code=200)
    async def deny(
        self,
        run_id: str,
        principal: Principal,
        approvals: Approvals,
        turns: Turns,
        data: DecideCalls | None = None,
    ) -> RunDetail:
        """Have tool calls that wait not happen; all of them, unless some are named."""
        ids = None if data is None else data.tool_call_ids
        await approvals.decide(principal.account_id, run_id, ids, is_approved=False, by=principal.subject)
        return RunDetail.from_course(*await turns.show(principal.account_id, run_id))


class ApprovalController(Controller):
    """What waits for people."""

    path = "/api/approvals"
    tags = ("runs",)
    guards = (require_user,)

    @get("/", operation_id="listApprovals", summary="List tool calls that wait for approval")
    async def list(self, principal: Principal, turns: Turns) -> list[ApprovalView]:
        """List the account's tool calls that wait for approval, the most urgent first."""
        return [
            ApprovalView(
                id=call.id,
                name=call.name,
                arguments=call.arguments,
                status=call.status,
                expires_at=call.expires_at,
                run_id=call.run_id,
                session_key=call.session_key,
                agent_id=call.agent_id,
            )
            for call in await turns.pending(principal.account_id, limit=500)
        ]
