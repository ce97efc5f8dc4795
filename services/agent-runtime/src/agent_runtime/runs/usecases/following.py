"""Following a run: first what is stored, then what happens, without a gap."""

import contextlib
from collections.abc import AsyncIterator

from agent_runtime.errors import RunNotFoundError
from agent_runtime.runs.clients.live import Follower, Live
from agent_runtime.runs.domain.runs import EventType, RunEvent, Token
from agent_runtime.runs.repositories.progress import ProgressRepository
from agent_runtime.runs.repositories.runs import RunRepository
from shoal.clock import Clock
from shoal.database import Database

BEAT_S = 15.0
LOOK_S = 3.0
"""How often the store is looked at where nothing comes live: NATS may be away."""
_PAGE = 500


class Following:
    """Streams of runs."""

    def __init__(self, *, database: Database, live: Live, clock: Clock) -> None:
        self._database = database
        self._live = live
        self._clock = clock

    async def follow(self, account_id: str, run_id: str, *, after: int) -> AsyncIterator[RunEvent | Token | None]:
        """Follow a run from behind an event: every later event once and in order, tokens as they come, None as a beat.

        Raises:
            RunNotFoundError: There is no such run.
        """
        async with self._database.reading() as database:
            await RunRepository(database).get(account_id, run_id)
        return self._until_gone(account_id, run_id, after)

    async def _until_gone(self, account_id: str, run_id: str, after: int) -> AsyncIterator[RunEvent | Token | None]:
        with contextlib.suppress(RunNotFoundError):
            async for item in self._stream(account_id, run_id, after):
                yield item

    async def _stream(self, account_id: str, run_id: str, after: int) -> AsyncIterator[RunEvent | Token | None]:
        last, beaten = after, self._clock.monotonic()
        async with self._live.following(run_id) as follower:
            while True:
                is_over, stored = await self._stored(account_id, run_id, last)
                for event in stored:
                    last = event.seq
                    yield event
                if is_over and len(stored) < _PAGE:
                    return
                if len(stored) == _PAGE:
                    continue
                async for item in self._until_gap(follower, last):
                    if isinstance(item, RunEvent):
                        last = item.seq
                    yield item
                    beaten = self._clock.monotonic()
                    if isinstance(item, RunEvent) and EventType(item.type).is_last:
                        return
                if self._clock.monotonic() - beaten >= BEAT_S:
                    beaten = self._clock.monotonic()
                    yield None

    async def _until_gap(self, follower: Follower, last: int) -> AsyncIterator[RunEvent | Token]:
        """Pass on what comes live, until nothing comes for a while or something was missed."""
        while (item := await follower.next_within(LOOK_S)) is not None:
            if isinstance(item, RunEvent):
                if item.seq <= last:
                    continue
                if item.seq > last + 1:
                    return
                last = item.seq
            yield item

    async def _stored(self, account_id: str, run_id: str, after: int) -> tuple[bool, list[RunEvent]]:
        async with self._database.reading() as database:
            run = await RunRepository(database).get(account_id, run_id)
            events = await ProgressRepository(database).events(run_id, after=after, limit=_PAGE)
        return run.status.is_over, list(events)
