"""HTTP: messages to agents, and the runs that answer them."""

from typing import Annotated, Any

from litestar import Controller, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter

from agent_runtime.ports import TurnRequest
from agent_runtime.runs.domain.answers import Answered, Unfinished
from agent_runtime.runs.domain.runs import Run
from agent_runtime.runs.schemas import AnswerView, RunSummary, SendMessage
from agent_runtime.runs.usecases.messages import Messages
from agent_runtime.runs.usecases.turns import Turns
from shoal.http.auth import require_user
from shoal.identity import Principal

IdempotencyKey = Annotated[str | None, Parameter(header="Idempotency-Key", max_length=255)]
Prefer = Annotated[str | None, Parameter(header="Prefer", max_length=255)]

_UNFINISHED: Any = AnswerView | RunSummary
NOT_SAID_YET = ResponseSpec(_UNFINISHED, description="The agent has not said it yet", generate_examples=False)


class MessageController(Controller):
    """The contract's call, and runs as resources."""

    path = "/api/sessions"
    tags = ("sessions",)
    guards = (require_user,)

    @post("/{key:str}/messages", operation_id="sendMessage", summary="Say something to an agent", status_code=200,
          responses={202: NOT_SAID_YET})  # fmt: skip
    async def send(
        self,
        key: str,
        data: SendMessage,
        principal: Principal,
        messages: Messages,
        idempotency_key: IdempotencyKey = None,
        prefer: Prefer = None,
        is_async: Annotated[bool, Parameter(query="async")] = False,
    ) -> Response[AnswerView]:
        """Say something, and answer what the agent says; 202 where it has not said it yet."""
        request = _request(key, data, principal, idempotency_key)
        if is_async or "respond-async" in (prefer or "").lower():
            return _left(await messages.leave(request))
        return _heard(await messages.ask(request))

    @post("/{key:str}/runs", operation_id="startRun", summary="Say something, and follow how it is answered")
    async def start(
        self,
        key: str,
        data: SendMessage,
        principal: Principal,
        messages: Messages,
        idempotency_key: IdempotencyKey = None,
    ) -> RunSummary:
        """Have a message answered; its run is queued, or runs already."""
        return RunSummary.from_domain(await messages.leave(_request(key, data, principal, idempotency_key)))

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


def _request(key: str, data: SendMessage, principal: Principal, idempotency_key: str | None) -> TurnRequest:
    return TurnRequest(
        account_id=principal.account_id,
        content=data.content,
        session_key=key,
        queueing=data.policy,
        idempotency_key=idempotency_key or "",
        by=principal.subject,
        credential_id=principal.credential_id,
    )


def _heard(outcome: Answered | Unfinished) -> Response[Any]:
    match outcome:
        case Answered(message):
            headers = {"Location": f"/api/runs/{message.run_id}"}
            return Response(AnswerView.from_answer(message), headers=headers, status_code=200)
        case Unfinished(run, calls):
            headers = {"Location": f"/api/runs/{run.id}"}
            return Response(AnswerView.from_unfinished(run, calls), headers=headers, status_code=202)


def _left(run: Run) -> Response[Any]:
    headers = {"Location": f"/api/runs/{run.id}", "Preference-Applied": "respond-async"}
    return Response(RunSummary.from_domain(run), status_code=202, headers=headers)
