"""Asking for answers, waiting for them, and wanting them no more."""

from collections.abc import Sequence

from agent_runtime.ports import RunStatus, SaidSoFar, Sessions, TurnRequest, TurnResult
from agent_runtime.runs.domain.runs import CallRecord, Run
from agent_runtime.runs.repositories.progress import PendingCall, ProgressRepository
from agent_runtime.runs.repositories.runs import RunRepository
from agent_runtime.runs.usecases.cancelling import Cancelling
from agent_runtime.runs.usecases.starting import Starting
from agent_runtime.runs.usecases.waiting import Waiting
from agent_runtime.runs.usecases.worker import Worker
from shoal.database import Database, Transaction
from shoal.ids import new_id

_SETTLE_S = 5.0


class Turns:
    """Turns of sessions, one at a time and in the order of asking. It is the port `Turns`."""

    def __init__(
        self,
        *,
        database: Database,
        sessions: Sessions,
        starting: Starting,
        waiting: Waiting,
        cancelling: Cancelling,
        worker: Worker,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._starting = starting
        self._waiting = waiting
        self._cancelling = cancelling
        self._worker = worker

    async def start(self, request: TurnRequest) -> str:
        """Have a message answered; returns the run, which is committed and may be queued.

        Raises:
            AgentNotFoundError: There is no such agent.
            SessionNotFoundError: There is no such session, and none was to be made.
            SessionBusyError: The session is busy, and the request would not queue.
            AgentStoppedError: The agent is stopped.
            IdempotencyKeyReusedError: The key came with another message.
        """
        return (await self._starting.start(request, new_id("run"))).run_id

    async def ask(self, request: TurnRequest, *, timeout_s: float) -> TurnResult:
        """Have a message answered and wait for it; the run goes on when the time is over.

        Raises:
            As `start`.
        """
        return await self._waiting.ask(request, timeout_s=timeout_s)

    async def wait(self, account_id: str, run_id: str, *, timeout_s: float) -> TurnResult:
        """Wait until a run is over, waits for approval, or the time is over.

        Raises:
            RunNotFoundError: There is no such run.
        """
        return await self._waiting.wait(account_id, run_id, timeout_s=timeout_s)

    async def cancel(self, account_id: str, run_id: str) -> None:
        """End a run and those that run on its account, wherever they are; waits a little for them to have ended.

        Raises:
            RunNotFoundError: There is no such run.
        """
        async with self._database.reading() as database:
            run = await RunRepository(database).get(account_id, run_id)
        if run.status.is_over:
            return
        if await self._cancelling.end(run_id):
            stopped = await self._waiting.wait(account_id, run_id, timeout_s=_SETTLE_S)
            if stopped.status is RunStatus.PENDING_APPROVAL:  # it came to that meanwhile
                await self._cancelling.end(run_id)
        for child in await self._cancelling.children(run_id):
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

    async def is_busy(self, tx: Transaction, session_id: str) -> bool:
        """Tell whether anything runs or waits in a session, whose row the transaction holds."""
        return bool(await RunRepository(tx).unfinished(session_id))

    # looking

    async def so_far(self, account_id: str, session_key: str) -> SaidSoFar | None:
        """Read what was said so far of the answer under way in a session; None when none is."""
        async with self._database.reading() as database:
            return await ProgressRepository(database).said_so_far(account_id, session_key)

    async def show(self, account_id: str, run_id: str) -> tuple[Run, Sequence[CallRecord]]:
        """Show a run and the calls of its tools.

        Raises:
            RunNotFoundError: There is no such run.
        """
        async with self._database.reading() as database:
            run = await RunRepository(database).get(account_id, run_id)
            return run, await ProgressRepository(database).calls(run_id)

    async def list(self, account_id: str, session_key: str, *, limit: int) -> Sequence[Run]:
        """List a session's runs, the latest first.

        Raises:
            SessionNotFoundError: There is no such session.
        """
        async with self._database.reading() as database:
            place = await self._sessions.find(database, account_id, session_key)
            return await RunRepository(database).list(place.id, limit)

    async def pending(self, account_id: str, *, limit: int) -> Sequence[PendingCall]:
        """List tool calls that wait for people, the most urgent first."""
        async with self._database.reading() as database:
            return await ProgressRepository(database).pending(account_id, limit)
