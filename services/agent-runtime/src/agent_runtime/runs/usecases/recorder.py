"""Writing down what happens in a run, while others follow it live.

Tokens go out at once and are stored in pieces of a tenth of a second; events are stored in the transactions that make
them true and go out after the commit. Every transaction of the run's worker proves the lease under which it runs, so a
process that was taken for dead can write nothing more.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from agent_runtime.ports import Frame, Frames, Message, Topic, message_payload, session_topic
from agent_runtime.runs.clients.live import Live
from agent_runtime.runs.domain.runs import EventType, Run, RunEvent, Token
from agent_runtime.runs.repositories.progress import ProgressRepository
from agent_runtime.runs.repositories.runs import RunRepository
from shoal.database import Database, DatabaseUnavailableError, Transaction
from shoal.leases import Lease, LeaseLostError, Leases

CHUNK_S = 0.1


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
        self._seq = run.last_seq
        self._pending: list[RunEvent] = []
        self._text: list[str] = []
        self._flusher: asyncio.Task[None] | None = None
        self._offset = 0
        self._stored_offset = 0
        self._step = 1
        self._given = run.last_seq
        self._is_unsure = False

    def begin_step(self, number: int, *, offset: int) -> None:
        """Count text as of this step; `offset` is how many characters were said in earlier ones."""
        self._cut()
        self._step = number
        self._offset = self._stored_offset = offset

    async def say(self, text: str) -> None:
        """Tell some text at once, and store it soon."""
        token = Token(self._offset, text)
        self._offset += len(text)
        self._text.append(text)
        await self._live.tell(self._run.id, token)
        await self.show("stream_chunk", {"content": text, "offset": token.offset})
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._store_soon())

    def note(self, kind: EventType, data: Mapping[str, Any]) -> None:
        """Have an event stored by the transaction under way, or by the next one."""
        self._cut()
        self._seq += 1
        self._pending.append(RunEvent(self._seq, kind, data))

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

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        """Open a transaction of the run's worker; what was noted is stored at its end.

        Raises:
            LeaseLostError: This process was taken for dead.
            DatabaseUnavailableError: As for any transaction.
        """
        async with self._lock:
            try:
                async with self._database.transaction() as tx:
                    await self._leases.held(tx, Lease(self._run.worker or "", self._run.epoch or 0))
                    if self._is_unsure:
                        await self._make_sure(tx)
                    yield tx
                    await self.store(tx)
            except BaseException:
                self._is_unsure = True
                raise

    async def store(self, tx: Transaction) -> None:
        """Store what was noted and not given to this transaction yet; tell it once the commit stands."""
        events = self.hand_over(tx)
        if events:
            await ProgressRepository(tx).add_events(self._run.id, events)

    def hand_over(self, tx: Transaction) -> Sequence[RunEvent]:
        """Give what was noted to whoever stores it in this transaction; tell it once the commit stands."""
        self._cut()
        events = tuple(event for event in self._pending if event.seq > self._given)
        if events:
            self._given = events[-1].seq
            tx.after_commit(partial(self._stored, events))
        return events

    async def close(self) -> None:
        """Stop storing by the clock; waits for what is under way."""
        if self._flusher is not None:
            async with self._lock:
                self._flusher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flusher

    async def _stored(self, events: tuple[RunEvent, ...]) -> None:
        self._pending = [event for event in self._pending if event.seq > events[-1].seq]
        for event in events:
            await self._live.tell(self._run.id, event)

    async def _make_sure(self, tx: Transaction) -> None:
        """Let go of events that a broken transaction may have stored after all."""
        stored = (await RunRepository(tx).lock(self._run.id)).last_seq
        self._pending = [event for event in self._pending if event.seq > stored]
        self._given = stored
        self._is_unsure = False

    async def _store_soon(self) -> None:
        await asyncio.sleep(CHUNK_S)
        try:
            async with self.writing():
                pass
        except (DatabaseUnavailableError, LeaseLostError) as error:
            structlog.get_logger().warning("run_not_stored", run_id=self._run.id, error=repr(error))

    def _cut(self) -> None:
        """Make an event of the text that was said since the last one."""
        if self._text:
            content, self._text = "".join(self._text), []
            self._seq += 1
            payload = {"content": content, "offset": self._stored_offset, "step": self._step}
            self._pending.append(RunEvent(self._seq, EventType.TEXT, payload))
            self._stored_offset += len(content)
