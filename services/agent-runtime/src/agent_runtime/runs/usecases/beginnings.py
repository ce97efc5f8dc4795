"""How runs begin: a message is said, and a worker has taken the run that answers it.

That is one transaction. Mostly it is the one that makes the run: where nothing stands before it in its session, the
process that was asked takes it at once.
"""

from collections.abc import Sequence

from msgspec import Struct

from agent_runtime.ports import AgentProfile, Message, Sessions
from agent_runtime.runs.domain.endings import Progress
from agent_runtime.runs.domain.runs import EventType, NewRun, Run
from agent_runtime.runs.repositories.progress import ProgressRepository
from agent_runtime.runs.repositories.runs import RunRepository
from agent_runtime.runs.usecases.facts import Facts
from agent_runtime.runs.usecases.recorder import Recorder, Records
from shoal.clock import Clock
from shoal.database import Database, Transaction
from shoal.ids import new_id
from shoal.leases import Lease

HISTORY = 50
"""How many messages of a session a turn looks back at."""


class ClaimedRun(Struct, frozen=True):
    """A run that this process has taken, and all that was said and done before.

    `agent` is there where it was looked at in the same transaction.
    """

    run: Run
    messages: Sequence[Message]
    progress: Progress
    recorder: Recorder
    agent: AgentProfile | None = None


class Beginnings:
    """Makes and takes runs."""

    def __init__(self, *, database: Database, sessions: Sessions, records: Records, facts: Facts, clock: Clock) -> None:
        self._database = database
        self._sessions = sessions
        self._records = records
        self._facts = facts
        self._clock = clock

    async def make(self, tx: Transaction, new: NewRun, agent: AgentProfile, lease: Lease | None) -> ClaimedRun | None:
        """Put a run at the end of its session's queue; under a lease it is taken, if nothing stands before it."""
        run = await RunRepository(tx).insert(new, worker=lease)
        if run.worker is None:
            return None
        recorder = self._records.of(run)
        tx.after_commit(recorder.show_start)
        messages = await self._begin(tx, run, recorder)
        return ClaimedRun(run, messages, Progress((), ()), recorder, agent)

    async def take(self, session_id: str, lease: Lease) -> ClaimedRun | None:
        """Take a session's next run, if one waits to be taken."""
        async with self._database.reading() as database:
            if not await RunRepository(database).is_waiting(session_id):
                return None
        async with self._database.transaction() as tx:
            run = await RunRepository(tx).claim(session_id, lease)
            return None if run is None else await self._take(tx, run)

    async def _take(self, tx: Transaction, run: Run) -> ClaimedRun:
        recorder, progress = self._records.of(run), ProgressRepository(tx)
        is_new = run.last_seq <= 1
        recorder.note(EventType.STARTED if is_new else EventType.RESUMED, {})
        await recorder.store(tx)
        if is_new:
            return ClaimedRun(run, await self._begin(tx, run, recorder), Progress((), ()), recorder)
        done = Progress(await progress.steps(run.id), await progress.calls(run.id))
        return ClaimedRun(run, await self._sessions.said(tx, run.session_id, HISTORY), done, recorder)

    async def _begin(self, tx: Transaction, run: Run, recorder: Recorder) -> Sequence[Message]:
        """Say the message that the run answers; returns it with what was said before."""
        message = Message(
            id=new_id("msg"), role="user", content=run.content, timestamp=self._clock.now(), run_id=run.id
        )
        earlier = await self._sessions.say(tx, run.session_id, message, earlier=HISTORY - 1)
        await self._facts.started(tx, run)

        async def show() -> None:
            await recorder.show_message(message)

        tx.after_commit(show)
        return (*earlier, message)
