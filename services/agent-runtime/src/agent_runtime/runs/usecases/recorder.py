"""Writing down what happens in a run, while others follow it live.

Tokens go out at once and are stored in pieces of a tenth of a second; events are stored in the transactions that make
them true and go out after the commit. Every transaction of the run's worker proves the lease under which it runs, so a
process that was taken for dead can write nothing more.

What the worker writes, it writes once, though the database may break a transaction and leave open what became of it.
Then the run's row is held, after which nothing more becomes of it, and says how many events are stored. With the events
that the transaction was given it stands, and what is due is told; without them it never was, and is tried again.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import structlog

from agent_runtime.errors import RunNotFoundError
from agent_runtime.ports import Frame, Frames, Message, Topic, message_payload, session_topic
from agent_runtime.runs.clients.live import Live
from agent_runtime.runs.domain.notes import Notes
from agent_runtime.runs.domain.runs import EventType, Run, RunEvent
from agent_runtime.runs.repositories.progress import ProgressRepository
from agent_runtime.runs.repositories.runs import RunRepository
from shoal.database import Database, DatabaseUnavailableError, Transaction
from shoal.leases import Lease, LeaseLostError, Leases

CHUNK_S = 0.1
MAX_TRYING_S = 20.0
"""For how long a broken transaction is tried again: longer than PostgreSQL keeps one open whose client has gone."""
FIRST_PAUSE_S = 0.1
MAX_PAUSE_S = 1.0

T = TypeVar("T")


class Records:
    """Makes the record of a run, wherever it is begun, gone on with or ended."""

    def __init__(self, *, database: Database, leases: Leases, live: Live, frames: Frames) -> None:
        self._database = database
        self._leases = leases
        self._live = live
        self._frames = frames

    def of(self, run: Run) -> "Recorder":
        """Go on with the record of a run."""
        return Recorder(run, database=self._database, leases=self._leases, live=self._live, frames=self._frames)


class Recorder:
    """The record of one run, kept by one process at a time."""

    def __init__(self, run: Run, *, database: Database, leases: Leases, live: Live, frames: Frames) -> None:
        self._run = run
        self._database = database
        self._leases = leases
        self._live = live
        self._frames = frames
        self._lock = asyncio.Lock()
        self._notes = Notes(run.last_seq)
        self._due: list[Callable[[], Awaitable[None]]] = []
        self._flusher: asyncio.Task[None] | None = None

    def begin_step(self, number: int, *, offset: int) -> None:
        """Count text as of this step; `offset` is how many characters were said in earlier ones."""
        self._notes.begin_step(number, offset=offset)

    async def say(self, text: str) -> None:
        """Tell some text at once, and store it soon."""
        token = self._notes.say(text)
        await self._live.tell(self._run.id, token)
        await self.show("stream_chunk", {"content": text, "offset": token.offset})
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._store_soon())

    def note(self, kind: EventType, data: Mapping[str, Any]) -> None:
        """Have an event stored by the transaction under way, or by the next one."""
        self._notes.note(kind, data)

    def afterwards(self, act: Callable[[], Awaitable[None]]) -> None:
        """Have something done when the events of the transaction under way are told: once, or never."""
        self._due.append(act)

    async def show(self, kind: str, data: Mapping[str, Any]) -> None:
        """Send a frame to the browsers that look at the session."""
        payload = {"session_key": self._run.session_key, "run_id": self._run.id, **data}
        await self._frames.publish(Frame(self._run.account_id, session_topic(self._run.session_key), kind, payload))

    async def show_start(self) -> None:
        """Tell followers that the run has started, which was stored with the run."""
        await self._live.tell(self._run.id, RunEvent(self._run.last_seq, EventType.STARTED, {}))

    async def show_message(self, message: Message) -> None:
        """Show a committed message to the account's browsers."""
        payload = message_payload(message) | {"session_key": self._run.session_key, "origin": self._run.origin}
        await self._frames.publish(Frame(self._run.account_id, Topic.CHAT_MESSAGE, Topic.CHAT_MESSAGE, payload))

    async def write(self, act: Callable[[Transaction], Awaitable[T]]) -> T:
        """Write something, and what was noted, in one transaction of the run's worker; returns what `act` does.

        Where the database breaks the transaction it is tried again for a while. So `act` may be done several times;
        what it writes and notes counts in the one transaction that stands.

        Raises:
            LeaseLostError: This process was taken for dead.
            DatabaseUnavailableError: The database was away for too long; the next to write finds out what stands.
        """
        done: list[T] = []
        async with self._lock:
            deadline, pause_s = asyncio.get_running_loop().time() + MAX_TRYING_S, FIRST_PAUSE_S
            while True:
                try:
                    if await self._stands() and done:
                        return done[-1]
                    async with self._transaction() as tx:
                        done.append(await act(tx))
                        await self.store(tx)
                    return done[-1]
                except DatabaseUnavailableError:
                    if asyncio.get_running_loop().time() + pause_s > deadline:
                        raise
                await asyncio.sleep(pause_s * random.uniform(1, 1.25))  # noqa: S311 - spreads writers
                pause_s = min(2 * pause_s, MAX_PAUSE_S)

    async def store(self, tx: Transaction) -> None:
        """Store what was noted and not given to this transaction yet; tell it once the commit stands."""
        events = self.hand_over(tx)
        if events:
            await ProgressRepository(tx).add_events(self._run.id, events)

    def hand_over(self, tx: Transaction) -> Sequence[RunEvent]:
        """Give what was noted to whoever stores it in this transaction; tell it once the commit stands."""
        tx.after_commit(self._tell)
        return self._notes.give()

    async def close(self) -> None:
        """Stop storing by the clock; waits for what is under way."""
        if self._flusher is not None:
            async with self._lock:
                self._flusher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flusher

    @contextlib.asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Transaction]:
        async with self._database.transaction() as tx:
            await self._leases.held(tx, Lease(self._run.worker or "", self._run.epoch or 0))
            yield tx

    async def _stands(self) -> bool:
        """Find out whether a transaction of which that is open stands after all; if so, tell what it stored."""
        last = self._notes.in_doubt
        if last is not None:
            async with self._transaction() as tx:
                stored = (await RunRepository(tx).lock(self._run.id)).last_seq
            if stored >= last:
                await self._tell()
                return True
        self._notes.take_back()
        self._due.clear()
        return False

    async def _tell(self) -> None:
        """Tell what is stored, and do what was due with it."""
        for event in self._notes.let_go():
            await self._live.tell(self._run.id, event)
        while self._due:
            await self._due.pop(0)()

    async def _store_soon(self) -> None:
        """Store what was said in a moment, and what is said meanwhile a moment later."""
        try:
            while self._notes.has_text:
                await asyncio.sleep(CHUNK_S)
                await self.write(_nothing_more)
        except (DatabaseUnavailableError, LeaseLostError, RunNotFoundError) as error:
            structlog.get_logger().warning("run_not_stored", run_id=self._run.id, error=repr(error))


async def _nothing_more(_: Transaction) -> None:
    """Leave a transaction to what was noted."""
