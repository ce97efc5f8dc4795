"""HTTP: messages to agents, and the runs that answer them."""

from datetime import timedelta
from typing import Annotated, Any

from litestar import Controller, Response, get, post
from litestar.params import Parameter

from agent_runtime.ports import VOICE_SESSION, RunStatus, TurnRequest
from agent_runtime.runs.controllers.answers import refuse_unless_told
from agent_runtime.runs.schemas import MessageView, RunSummary, SendMessage
from agent_runtime.runs.usecases.turns import Turns
from shoal.http.auth import require_user
from shoal.identity import Principal

SPOKEN = "Your answer is spoken aloud: keep it short, in plain sentences, without lists, code or markup."

IdempotencyKey = Annotated[str | None, Parameter(header="Idempotency-Key", max_length=255)]
Prefer = Annotated[str | None, Parameter(header="Prefer", max_length=255)]


class MessageController(Controller):
    """The contract's call, and runs as resources."""

    path = "/api/sessions"
    tags = ("sessions",)
    guards = (require_user,)

    @post("/{key:str}/messages", operation_id="sendMessage", summary="Say something to an agent", status_code=200)
    async def send(
        self,
        key: str,
        data: SendMessage,
        principal: Principal,
        turns: Turns,
        answer_timeout: timedelta,
        idempotency_key: IdempotencyKey = None,
        prefer: Prefer = None,
        is_async: Annotated[bool, Parameter(query="async")] = False,
    ) -> Response[Any]:
        """Say something, and answer what the agent says; 202 where it has not said it yet."""
        request = _request(key, data, principal, idempotency_key)
        if is_async or "respond-async" in (prefer or ""):
            return await _started(turns, principal, request)
        result = await turns.ask(request, timeout_s=answer_timeout.total_seconds())
        refuse_unless_told(result)
        headers = {"Location": f"/api/runs/{result.run_id}"}
        if result.message is not None and result.status is RunStatus.COMPLETED:
            return Response(MessageView.from_answer(result.message), headers=headers, status_code=200)
        run, calls = await turns.show(principal.account_id, result.run_id)
        return Response(MessageView.from_unfinished(run, calls), headers=headers, status_code=202)

    @post("/{key:str}/runs", operation_id="startRun", summary="Say something, and follow how it is answered")
    async def start(
        self,
        key: str,
        data: SendMessage,
        principal: Principal,
        turns: Turns,
        idempotency_key: IdempotencyKey = None,
    ) -> RunSummary:
        """Have a message answered; its run is queued, or runs already."""
        run_id = await turns.start(_request(key, data, principal, idempotency_key))
        return RunSummary.from_domain((await turns.show(principal.account_id, run_id))[0])

    @get("/{key:str}/runs", operation_id="listRuns", summary="List a session's runs")
    async def list(
        self,
        key: str,
        principal: Principal,
        turns: Turns,
        limit: Annotated[int, Parameter(ge=1, le=200)] = 50,
    ) -> list[RunSummary]:
        """List a session's runs, the latest first."""
        return [RunSummary.from_domain(run) for run in await turns.list(principal.account_id, key, limit=limit)]


async def _started(turns: Turns, principal: Principal, request: TurnRequest) -> Response[Any]:
    run_id = await turns.start(request)
    run, _ = await turns.show(principal.account_id, run_id)
    headers = {"Location": f"/api/runs/{run_id}", "Preference-Applied": "respond-async"}
    return Response(RunSummary.from_domain(run), status_code=202, headers=headers)


def _request(key: str, data: SendMessage, principal: Principal, idempotency_key: str | None) -> TurnRequest:
    is_voice = key == VOICE_SESSION
    return TurnRequest(
        account_id=principal.account_id,
        content=data.content,
        session_key=key,
        is_session_made=is_voice,
        queueing=data.policy,
        idempotency_key=idempotency_key or "",
        origin="voice" if is_voice else "web",
        by=principal.subject,
        credential_id=principal.credential_id,
        instructions=SPOKEN if is_voice else "",
    )
