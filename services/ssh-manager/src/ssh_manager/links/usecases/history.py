"""The history of connections: taken down at once, stored as soon as that can be done."""

from collections.abc import Sequence
from datetime import timedelta

from shoal.clock import Clock
from shoal.database import Database, Transaction
from ssh_manager.backlog import Backlog
from ssh_manager.links.domain import LinkEvent, Snapshot, State, Transition
from ssh_manager.links.repositories import LinkRepository
from ssh_manager.ports import EventType, Instance

SHOWN_TRANSITIONS = 10

Kept = LinkEvent | Transition | Snapshot


class History:
    """Keep events, changes of state and the last state of every connection."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.backlog: Backlog[Kept] = Backlog("history backlog", self._store)

    def record(self, instance: Instance, kind: EventType, details: str) -> None:
        """Take down what happened, to be stored as soon as that can be done."""
        self.backlog.add(LinkEvent(instance.id, instance.name, kind, details, self._clock.now()))

    def moved(self, instance_id: int, before: State, after: State) -> None:
        """Take down a change of state."""
        self.backlog.add(Transition(instance_id, before, after, self._clock.now()))

    def seen(self, link: Snapshot) -> None:
        """Take down what a connection is now."""
        self.backlog.add(link)

    async def last_seen(self) -> dict[int, Snapshot]:
        """Read what every connection was when it was last seen, by instance."""
        async with self._database.reading() as database:
            return {link.instance_id: link for link in await LinkRepository(database).select()}

    async def transitions(self, instance_id: int) -> list[Transition]:
        """Read the last changes of state, the newest first."""
        async with self._database.reading() as database:
            return await LinkRepository(database).transitions(instance_id, SHOWN_TRANSITIONS)

    async def events(self, instance_id: int, limit: int) -> list[LinkEvent]:
        """Read what happened last, the newest first."""
        async with self._database.reading() as database:
            return await LinkRepository(database).events(instance_id, limit)

    async def forget(self, tx: Transaction, instance_id: int) -> None:
        """Forget an instance that is gone."""
        await LinkRepository(tx).forget(instance_id)

    async def forget_old(self, age: timedelta) -> None:
        """Delete what happened longer ago."""
        async with self._database.transaction() as tx:
            await LinkRepository(tx).forget_old(age)

    async def _store(self, kept: Sequence[Kept]) -> None:
        links = {one.instance_id: one for one in kept if isinstance(one, Snapshot)}
        async with self._database.transaction() as tx:
            repository = LinkRepository(tx)
            await repository.add_events([one for one in kept if isinstance(one, LinkEvent)])
            await repository.add_transitions([one for one in kept if isinstance(one, Transition)])
            await repository.put(list(links.values()))
