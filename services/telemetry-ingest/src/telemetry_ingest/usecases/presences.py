"""Presences: which agent is connected, told to everybody else in time, whoever dies.

Its protocol. Sockets say `begin` and `end`, which never wait. One task writes: every `beat` seconds, and at once when
there is something to write, it renews the process' beat and carries out what was said, with the facts that follow, in
one transaction; what could not be written is written the next time. Ends apply to their own epoch only. A presence of
a pairing ends every older one of that pairing, in whatever process, for a telemetry token holds one socket; the
process that lost one notices within a beat. A process whose beat is missing for `silent_for` is swept by the others,
and by itself when it comes back: it announces its sockets again under new epochs. Nobody sweeps before having beaten
for that long itself, so that an outage of the database makes nobody look dead.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog

from shoal.clock import Clock
from shoal.copies import ExportedFact, exported
from shoal.database import Database, DatabaseUnavailableError, Transaction
from shoal.http.pagination import Page
from shoal.ids import new_id
from shoal.outbox import Outbox
from telemetry_ingest.domain.closings import Gone
from telemetry_ingest.domain.presences import EndedPresence, Presence
from telemetry_ingest.repositories.presences import PresenceRepository
from telemetry_ingest.repositories.slots import SlotRepository
from telemetry_ingest.usecases import facts

GATHER_S = 0.01
MAX_AT_ONCE = 100
LAST_PASS_S = 2
KEEP_DAYS = 14
"""Twice the time that facts are kept: nobody's copy can lack an end that is older."""


class Presences:
    """This process' presences, and the sweep of others'.

    Args:
        process: This process.
        beat: How often it proves that it lives.
        silent_for: After how long without a beat a process counts as dead.
        on_superseded: Called with the id of a socket whose agent has a newer one elsewhere.
    """

    name = "presences"

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        clock: Clock,
        *,
        process: str,
        beat: timedelta,
        silent_for: timedelta,
        on_superseded: Callable[[str], None],
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._process = process
        self._beat = beat
        self._silent_for = silent_for
        self._alive: dict[str, dict[str, Presence]] = {}
        self._begun: dict[str, tuple[Presence, float]] = {}
        self._ended: dict[str, tuple[Presence, Gone]] = {}
        self._freed: list[str] = []
        self._wake = asyncio.Event()
        self._beating_since: float | None = None
        self._on_superseded = on_superseded

    def problem(self) -> str | None:
        """Say that nobody can know of this process, or None."""
        return None if self._beating_since is not None else "no beat yet"

    def begin(self, account_id: str, agent_id: str, *, pairing_id: str | None, socket_id: str) -> None:
        """Note that an agent can be heard over a socket."""
        presence = Presence(
            account_id=account_id,
            agent_id=agent_id,
            epoch=new_id("life"),
            pairing_id=pairing_id,
            socket_id=socket_id,
        )
        self._alive.setdefault(socket_id, {})[presence.epoch] = presence
        self._begun[presence.epoch] = presence, self._clock.monotonic()
        self._wake.set()

    def end(self, socket_id: str, gone: Gone) -> None:
        """Note that nobody can be heard over a socket any more."""
        for presence in self._alive.pop(socket_id, {}).values():
            self._ended[presence.epoch] = presence, gone
            self._wake.set()

    def free(self, socket_id: str) -> None:
        """Note that a user's socket is closed, and its slot free."""
        self._freed.append(socket_id)
        self._wake.set()

    async def run(self) -> None:
        """Beat, write and sweep for ever; writes what is left when this is cancelled."""
        self._wake.set()  # the first beat is now
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._beat.total_seconds())
                    await asyncio.sleep(GATHER_S)
                self._wake.clear()
                try:
                    await self._pass()
                except DatabaseUnavailableError:
                    self._beating_since = None if self._beating_since is None else self._clock.monotonic()
                    await asyncio.sleep(self._beat.total_seconds() / 4)
        finally:
            with contextlib.suppress(DatabaseUnavailableError, TimeoutError):
                await asyncio.wait_for(self._last_pass(), LAST_PASS_S)

    async def export(self, after: str, limit: int) -> Page[ExportedFact]:
        """Tell every presence that is remembered as the fact that would make it so."""
        account_id, _, rest = after.partition("/")
        agent_id, _, epoch = rest.partition("/")
        async with self._database.reading() as database:
            rows = await PresenceRepository(database).export((account_id, agent_id, epoch), limit)
        told = [exported(facts.as_it_is(row)) for row in rows]
        return Page(told, next=rows[-1].cursor if len(rows) == limit else None)

    async def forget_ended(self) -> None:
        """Forget presences that ended long ago."""
        async with self._database.transaction() as tx:
            await PresenceRepository(tx).forget_ended(KEEP_DAYS)

    async def _pass(self) -> None:
        async with self._database.reading() as database:  # seen at once, however long the rest takes
            await PresenceRepository(database).beat(self._process)
        begun = _some(self._begun)
        ended = _some(self._ended)
        freed, self._freed = self._freed, []
        try:
            async with self._database.transaction() as tx:
                repository = PresenceRepository(tx)
                outdone = await self._write_begun(tx, list(begun.values()))
                await self._write_ended(tx, list(ended.values()))
                if freed:
                    await SlotRepository(tx).free(freed, process=self._process)
                taken = await repository.take_notice(self._process)
        except BaseException:
            self._begun = begun | self._begun
            self._ended = ended | self._ended
            self._freed = freed + self._freed
            raise
        if self._begun or self._ended:
            self._wake.set()
        for presence in outdone:
            self._on_superseded(presence.socket_id)
        for lost in taken:
            self._notice(lost)
        if self._beating_since is None:
            self._beating_since = self._clock.monotonic()
        elif self._clock.monotonic() - self._beating_since > self._silent_for.total_seconds():
            await self._sweep()

    async def _write_begun(self, tx: Transaction, begun: Sequence[tuple[Presence, float]]) -> list[Presence]:
        """Write beginnings; returns those whose pairing has a younger presence already."""
        repository = PresenceRepository(tx)
        await repository.hold_pairings([presence.pairing_id for presence, _ in begun if presence.pairing_id])
        outdone = []
        for presence, since in begun:
            age = timedelta(seconds=self._clock.monotonic() - since)
            if presence.pairing_id is not None:
                if await repository.has_newer(presence, age=age):
                    outdone.append(presence)
                    continue
                await self._tell_ended(tx, await repository.supersede(presence, process=self._process))
            if await repository.insert(presence, process=self._process, age=age):
                await self._outbox.append(tx, facts.online(presence, at=self._clock.now() - age))
        return outdone

    async def _write_ended(self, tx: Transaction, ended: Sequence[tuple[Presence, Gone]]) -> None:
        for presence, gone in ended:
            found = await PresenceRepository(tx).end(presence, gone)
            if found is not None:
                await self._tell_ended(tx, [found])

    async def _tell_ended(self, tx: Transaction, ended: Sequence[EndedPresence]) -> None:
        for presence in ended:
            await self._outbox.append(tx, facts.offline(presence, at=presence.ended_at))

    def _notice(self, lost: EndedPresence) -> None:
        """Another process ended a presence of ours: a newer socket took over, or we looked dead."""
        presence = self._alive.get(lost.socket_id, {}).pop(lost.epoch, None)
        if lost.superseded:
            self._on_superseded(lost.socket_id)
        elif presence is not None:
            self.begin(
                presence.account_id,
                presence.agent_id,
                pairing_id=presence.pairing_id,
                socket_id=presence.socket_id,
            )

    async def _sweep(self) -> None:
        async with self._database.transaction() as tx:
            repository = PresenceRepository(tx)
            lost = await repository.lost_processes(self._silent_for, but=self._process)
            if not lost:
                return
            await SlotRepository(tx).free_all_of(lost)
            ended = await repository.end_all_of(lost)
            await self._tell_ended(tx, ended)
        structlog.get_logger().warning("processes_lost", processes=lost, presences=len(ended))

    async def _last_pass(self) -> None:
        while self._begun or self._ended or self._freed:
            await self._pass()
        async with self._database.transaction() as tx:
            await PresenceRepository(tx).leave(self._process)


def _some(waiting: dict[str, tuple[Presence, float]] | dict[str, tuple[Presence, Gone]]) -> dict:  # type: ignore[type-arg]
    """Take the oldest few out of what waits."""
    return {epoch: waiting.pop(epoch) for epoch in list(waiting)[:MAX_AT_ONCE]}
