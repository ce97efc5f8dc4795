"""Asking for answers, waiting for them, and wanting them no more."""

import asyncio
from collections.abc import MutableSequence, Sequence

from agent_runtime.errors import SessionNotFoundError
from agent_runtime.ports import (
    Agents,
    Queueing,
    RunStatus,
    SessionPlace,
    Sessions,
    TurnRequest,
    TurnResult,
)
from agent_runtime.runs.clients.live import Live
from agent_runtime.runs.domain.runs import CallRecord, EventType, Run, RunEvent
from agent_runtime.runs.errors import AgentStoppedError, IdempotencyKeyReusedError, SessionBusyError
from agent_runtime.runs.repositories.course import CourseRepository, PendingCall
from agent_runtime.runs.repositories.runs import NewRun, RunRepository
from agent_runtime.runs.usecases.answers import STOPS, answered, digest_of
from agent_runtime.runs.usecases.endings import Endings
from agent_runtime.runs.usecases.worker import Worker
from shoal.database import Database, Transaction
from shoal.ids import new_id
from shoal.telemetry import Tracing

_LOOK_S = 2.0
_SETTLE_S = 5.0


class Turns:
    """Turns of sessions, one at a time and in the order of asking."""

    def __init__(
        self,
        *,
        database: Database,
        agents: Agents,
        sessions: Sessions,
        endings: Endings,
        worker: Worker,
        live: Live,
        tracing: Tracing,
    ) -> None:
        self._database = database
        self._agents = agents
        self._sessions = sessions
        self._endings = endings
        self._worker = worker
        self._live = live
        self._tracing = tracing

    async def start(self, request: TurnRequest) -> str:
        """Have a message answered; returns the run, which is committed and may be queued.

        Raises:
            AgentNotFoundError: There is no such agent.
            SessionNotFoundError: There is no such session, and none was to be made.
            SessionBusyError: The session is busy, and the request would not queue.
            AgentStoppedError: The agent is stopped.
            IdempotencyKeyReusedError: The key came with another message.
        """
        return await self._start(request, new_id("run"))

    async def _start(self, request: TurnRequest, run_id: str) -> str:
        agent_id = await self._agent_of(request)
        running: list[str] = []
        async with self._database.transaction() as tx:
            place = await self._place(tx, request, agent_id)
            repeated = await self._repeated(tx, place, request)
            if repeated is not None:
                return repeated
            await self._make_room(tx, place, request, running)
            await self._insert(tx, place, request, run_id)
            taken = await self._worker.take_within(tx, place.id)
        if taken is not None:
            self._worker.adopt(taken)
        for other in running:
            await self._end_running(other)
        self._worker.poke(place.id)
        return run_id

    async def ask(self, request: TurnRequest, *, timeout_s: float) -> TurnResult:
        """Have a message answered and wait for it; the run goes on when the time is over.

        Raises:
            As `start`.
        """
        run_id, loop = new_id("run"), asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        async with self._live.following(run_id) as follower:  # from before its beginning: nothing of it is missed
            started = await self._start(request, run_id)
            if started == run_id:
                result = await answered(follower, run_id, request, within_s=min(timeout_s, _LOOK_S))
                if result is not None:
                    return result
        return await self.wait(request.account_id, started, timeout_s=max(0.0, deadline - loop.time()))

    async def wait(self, account_id: str, run_id: str, *, timeout_s: float) -> TurnResult:
        """Wait until a run is over, waits for approval, or the time is over.

        Raises:
            RunNotFoundError: There is no such run.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        async with self._live.following(run_id) as follower:
            while True:
                result = await self._result(account_id, run_id)
                left_s = deadline - loop.time()
                if result.status.is_over or result.status is RunStatus.PENDING_APPROVAL or left_s <= 0:
                    return result
                looked = loop.time()
                while (left_s := min(deadline, looked + _LOOK_S) - loop.time()) > 0:
                    item = await follower.next(within_s=left_s)
                    if isinstance(item, RunEvent) and item.type in STOPS:
                        break

    async def cancel(self, account_id: str, run_id: str) -> None:
        """End a run and those that run on its account, wherever they are; waits a little for them to have ended.

        Raises:
            RunNotFoundError: There is no such run.
        """
        async with self._database.reading() as database:
            run = await RunRepository(database).get(account_id, run_id)
        if run.status.is_over:
            return
        if await self._end(run_id):
            await self.wait(account_id, run_id, timeout_s=_SETTLE_S)
        async with self._database.reading() as database:
            children = await RunRepository(database).children(run_id)
        for child in children:
            await self.cancel(account_id, child)
        self._worker.poke(run.session_id)

    async def cancel_session(self, account_id: str, session_key: str) -> None:
        """End whatever runs or waits in a session, what waits first.

        Raises:
            SessionNotFoundError: There is no such session.
        """
        async with self._database.transaction() as tx:
            place = await self._sessions.enter(tx, account_id, session_key)
            unfinished = await RunRepository(tx).unfinished(place.id)
        for run_id in reversed(unfinished):
            await self.cancel(account_id, run_id)

    # looking

    async def show(self, account_id: str, run_id: str) -> tuple[Run, Sequence[CallRecord]]:
        """Show a run and the calls of its tools.

        Raises:
            RunNotFoundError: There is no such run.
        """
        async with self._database.reading() as database:
            run = await RunRepository(database).get(account_id, run_id)
            return run, await CourseRepository(database).calls(run_id)

    async def list(self, account_id: str, session_key: str, *, limit: int) -> Sequence[Run]:
        """List a session's runs, the latest first.

        Raises:
            SessionNotFoundError: There is no such session.
        """
        async with self._database.transaction() as tx:
            place = await self._sessions.enter(tx, account_id, session_key)
            return await RunRepository(tx).list(place.id, limit)

    async def pending(self, account_id: str, *, limit: int) -> Sequence[PendingCall]:
        """List tool calls that wait for people, the most urgent first."""
        async with self._database.reading() as database:
            return await CourseRepository(database).pending(account_id, limit)

    # inside

    async def _agent_of(self, request: TurnRequest) -> str:
        """Find the agent that answers, and that it does."""
        try:
            agent_id = await self._sessions.agent_of(request.account_id, request.session_key)
        except SessionNotFoundError:
            if not (request.is_session_made or request.agent_id):
                raise
            agent_id = request.agent_id
        agent = await self._agents.get(request.account_id, agent_id)
        if not agent.is_running:
            raise AgentStoppedError
        return agent.id

    async def _place(self, tx: Transaction, request: TurnRequest, agent_id: str) -> SessionPlace:
        if request.is_session_made or request.agent_id:
            return await self._sessions.make(tx, request.account_id, request.session_key, agent_id)
        return await self._sessions.enter(tx, request.account_id, request.session_key)

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
            if await self._end_in(tx, run_id):
                running.append(run_id)

    async def _insert(self, tx: Transaction, place: SessionPlace, request: TurnRequest, run_id: str) -> None:
        await RunRepository(tx).insert(
            NewRun(
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
        )
        await CourseRepository(tx).add_events(run_id, [RunEvent(1, EventType.QUEUED, {})])

    async def _end(self, run_id: str) -> bool:
        """End a run that has no worker, or ask its worker to; returns whether a worker must."""
        async with self._database.transaction() as tx:
            is_running = await self._end_in(tx, run_id)
        if is_running:
            await self._end_running(run_id)
        return is_running

    async def _end_in(self, tx: Transaction, run_id: str) -> bool:
        runs = RunRepository(tx)
        run = await runs.lock(run_id)
        if run.status is RunStatus.RUNNING:
            await runs.request_cancel(run_id)
            return True
        if not run.status.is_over:
            await self._endings.break_off(tx, run, RunStatus.CANCELLED, self._endings.recorder(run))
        return False

    async def _end_running(self, run_id: str) -> None:
        if not self._worker.cancel(run_id):
            await self._live.ask_cancel(run_id)

    async def _result(self, account_id: str, run_id: str) -> TurnResult:
        async with self._database.reading() as database:
            run = await RunRepository(database).get(account_id, run_id)
            message = await self._sessions.answer(database, run_id) if run.status.is_over else None
        return TurnResult(
            run_id=run.id,
            session_key=run.session_key,
            status=run.status,
            message=message,
            error=run.error,
            error_code=run.error_code,
        )
