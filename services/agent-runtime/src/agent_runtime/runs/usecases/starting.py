"""Having messages answered: each becomes a run at the end of its session's queue."""

import hashlib
from collections.abc import MutableSequence

import msgspec
from msgspec.structs import replace

from agent_runtime.errors import SessionNotFoundError
from agent_runtime.ports import VOICE_SESSION, AgentProfile, Agents, Queueing, SessionPlace, Sessions, TurnRequest
from agent_runtime.runs.domain.runs import NewRun, Started
from agent_runtime.runs.errors import AgentStoppedError, IdempotencyKeyReusedError, SessionBusyError
from agent_runtime.runs.repositories.runs import RunRepository
from agent_runtime.runs.usecases.beginnings import Beginnings
from agent_runtime.runs.usecases.cancelling import Cancelling
from agent_runtime.runs.usecases.worker import Worker
from shoal.database import Database, Transaction
from shoal.telemetry import Tracing

SPOKEN = "Your answer is spoken aloud: keep it short, in plain sentences, without lists, code or markup."


class Starting:
    """Makes runs of messages, and has them done here at once where that may be."""

    def __init__(
        self,
        *,
        database: Database,
        agents: Agents,
        sessions: Sessions,
        beginnings: Beginnings,
        cancelling: Cancelling,
        worker: Worker,
        tracing: Tracing,
    ) -> None:
        self._database = database
        self._agents = agents
        self._sessions = sessions
        self._beginnings = beginnings
        self._cancelling = cancelling
        self._worker = worker
        self._tracing = tracing

    async def start(self, request: TurnRequest, run_id: str) -> Started:
        """Have a message answered by a run of this id, or by the one that the same request made before.

        Raises:
            As `Turns.start`.
        """
        request = as_spoken(request)
        running: list[str] = []
        async with self._database.transaction() as tx:
            place, agent = await self._place(tx, request)
            repeated = await self._repeated(tx, place, request)
            if repeated is not None:
                return Started(repeated, is_here=False)
            await self._make_room(tx, place, request, running)
            new = self._run(place, request, run_id)
            claimed = await self._beginnings.make(tx, new, agent, self._worker.lease_for(place.id))
        if claimed is not None:
            self._worker.adopt(claimed)
        await self._cancelling.end_running(running)
        self._worker.poke(place.id)
        return Started(run_id, is_here=claimed is not None)

    async def _place(self, tx: Transaction, request: TurnRequest) -> tuple[SessionPlace, AgentProfile]:
        """Find the session, or make it where that is wanted, and who answers there."""
        try:
            place = await self._sessions.enter(tx, request.account_id, request.session_key)
        except SessionNotFoundError:
            if not (request.is_session_made or request.agent_id):
                raise
            agent = await self._answering(tx, request.account_id, request.agent_id)
            return await self._sessions.make(tx, request.account_id, request.session_key, agent.id), agent
        return place, await self._answering(tx, place.account_id, place.agent_id)

    async def _answering(self, tx: Transaction, account_id: str, agent_id: str) -> AgentProfile:
        agent = await self._agents.within(tx, account_id, agent_id)
        if not agent.is_running:
            raise AgentStoppedError
        return agent

    async def _repeated(self, tx: Transaction, place: SessionPlace, request: TurnRequest) -> str | None:
        if not request.idempotency_key:
            return None
        found = await RunRepository(tx).repeated(place.id, request.idempotency_key)
        if found is not None and found.request_sha256 != digest_of(request):
            raise IdempotencyKeyReusedError
        return None if found is None else found.id

    async def _make_room(
        self, tx: Transaction, place: SessionPlace, request: TurnRequest, running: MutableSequence[str]
    ) -> None:
        """Do to the session's other runs what the request wants; collects those that must be ended where they run."""
        if request.queueing is Queueing.ENQUEUE:
            return
        unfinished = await RunRepository(tx).unfinished(place.id)
        if unfinished and request.queueing is Queueing.REJECT:
            raise SessionBusyError
        for run_id in unfinished:
            if await self._cancelling.end_within(tx, run_id):
                running.append(run_id)

    def _run(self, place: SessionPlace, request: TurnRequest, run_id: str) -> NewRun:
        return NewRun(
            id=run_id,
            account_id=place.account_id,
            session_id=place.id,
            session_key=place.key,
            agent_id=place.agent_id,
            parent_id=request.parent_run_id or None,
            content=request.content,
            model=request.model,
            origin=request.origin,
            requested_by=request.by,
            credential_id=request.credential_id,
            instructions=request.instructions,
            tools=None if request.tools is None else list(request.tools),
            idempotency_key=request.idempotency_key or None,
            request_sha256=digest_of(request),
            traceparent=self._tracing.traceparent(),
        )


def as_spoken(request: TurnRequest) -> TurnRequest:
    """Take what people say in the session `voice` for spoken: the session is made, the answer is for the ear."""
    if request.session_key != VOICE_SESSION or request.origin != "web":
        return request
    return replace(request, origin="voice", is_session_made=True, instructions=SPOKEN)


def digest_of(request: TurnRequest) -> bytes:
    """Tell requests apart that come with the same key."""
    told = [request.content, request.model, request.instructions, request.tools]
    return hashlib.sha256(msgspec.json.encode(told)).digest()
