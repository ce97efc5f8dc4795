"""Waiting for answers."""

import asyncio
import contextlib

from agent_runtime.errors import RunNotFoundError, SessionNotFoundError
from agent_runtime.ports import RunStatus, Sessions, TurnRequest, TurnResult
from agent_runtime.runs.clients.live import Follower, Live
from agent_runtime.runs.domain.history import message_of
from agent_runtime.runs.domain.runs import EventType, RunEvent
from agent_runtime.runs.repositories.runs import RunRepository
from agent_runtime.runs.usecases.recorder import MAX_TRYING_S
from agent_runtime.runs.usecases.starting import Starting
from shoal.database import Database, DatabaseUnavailableError
from shoal.ids import new_id

STOPS = {EventType.APPROVAL_REQUESTED, *(kind for kind in EventType if kind.is_last)}
"""The events after which a run does nothing for a while, or for ever."""
_LOOK_S = 2.0


class Waiting:
    """Waits for runs until they are over, wait for people, or the time is."""

    def __init__(self, *, database: Database, sessions: Sessions, starting: Starting, live: Live) -> None:
        self._database = database
        self._sessions = sessions
        self._starting = starting
        self._live = live

    async def ask(self, request: TurnRequest, *, timeout_s: float) -> TurnResult:
        """Have a message answered and wait for it; the run goes on when the time is over.

        Raises:
            As `Turns.start`.
        """
        run_id, loop = new_id("run"), asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        with self._live.following_here(run_id) as follower:  # from before its beginning: nothing of it is missed
            started = await self._starting.start(request, run_id)
            if started.is_here:
                result = await _answered(follower, run_id, request, within_s=min(timeout_s, _LOOK_S))
                if result is not None:
                    return result
        try:
            return await self.wait(request.account_id, started.run_id, timeout_s=max(0.0, deadline - loop.time()))
        except RunNotFoundError:  # it went with its session
            raise SessionNotFoundError from None

    async def wait(self, account_id: str, run_id: str, *, timeout_s: float) -> TurnResult:
        """Wait for a run, wherever it is done.

        Raises:
            RunNotFoundError: There is no such run.
            DatabaseUnavailableError: The database was away for as long as a worker tries to store an answer.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        patience = min(deadline, loop.time() + MAX_TRYING_S)
        async with self._live.following(run_id) as follower:
            while True:
                looked = loop.time()
                try:
                    result = await self._result(account_id, run_id)
                except DatabaseUnavailableError:
                    if loop.time() >= patience:
                        raise
                else:
                    if result.status.is_over or result.status is RunStatus.PENDING_APPROVAL or looked >= deadline:
                        return result
                    patience = min(deadline, looked + MAX_TRYING_S)
                await _stopped(follower, until=min(deadline, looked + _LOOK_S))

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


async def _stopped(follower: Follower, *, until: float) -> None:
    """Wait until a run stops, as far as that is told live."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(until):
            await _stop(follower)


async def _answered(follower: Follower, run_id: str, request: TurnRequest, *, within_s: float) -> TurnResult | None:
    """Wait a little for the answer to come live, as it is stored; None where it does not, or there is none."""
    try:
        async with asyncio.timeout(within_s):
            stop = await _stop(follower)
    except TimeoutError:
        return None
    if stop.type != EventType.COMPLETED:
        return None
    return TurnResult(
        run_id=run_id,
        session_key=request.session_key,
        status=RunStatus.COMPLETED,
        message=message_of(stop.data["message"]),
    )


async def _stop(follower: Follower) -> RunEvent:
    """Wait for the event after which a run does nothing for a while, or for ever."""
    while True:
        item = await follower.next()
        if isinstance(item, RunEvent) and item.type in STOPS:
            return item
