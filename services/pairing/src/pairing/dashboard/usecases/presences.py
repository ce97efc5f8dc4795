"""Which agents are online."""

from pairing.dashboard.domain import Presence, PresenceKey
from pairing.dashboard.repositories.presences import PresenceRepository
from shoal.database import Database, Transaction
from shoal_events import AgentOffline, AgentOnline

KEEP_DAYS = 14
"""Twice the time that facts are kept."""
BEGUN, ENDED = 1, 2
"""Versions of presences in facts that tell none."""


class Presences:
    """Which agents are online, as telemetry-ingest tells; a connection's end applies to that connection only."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def came_online(self, tx: Transaction, event: AgentOnline) -> None:
        """Note a connection, unless its end was heard of before."""
        await PresenceRepository(tx).put(
            Presence(
                account_id=event.account_id,
                agent_id=event.agent_id,
                epoch=event.epoch,
                pairing_id=event.pairing_id,
                is_online=True,
                at=event.at,
                version=event.version or BEGUN,
            )
        )

    async def went_offline(self, tx: Transaction, event: AgentOffline) -> None:
        """Note a connection's end, and when the agent was last seen."""
        repository = PresenceRepository(tx)
        await repository.put(
            Presence(
                account_id=event.account_id,
                agent_id=event.agent_id,
                epoch=event.epoch,
                pairing_id=event.pairing_id,
                is_online=False,
                at=event.at,
                version=event.version or ENDED,
            )
        )
        await repository.mark_last_seen(event.account_id, event.agent_id, pairing_id=event.pairing_id, at=event.at)

    async def known(self, tx: Transaction) -> list[PresenceKey]:
        """List the connections that have not ended."""
        return await PresenceRepository(tx).list_online()

    async def vanished(self, tx: Transaction, key: PresenceKey) -> None:
        """Note the end of a connection that its owner does not remember; when that was, nobody knows."""
        await PresenceRepository(tx).forget(key)

    async def forget_ended(self) -> None:
        """Forget connections that ended long ago."""
        async with self._database.transaction() as tx:
            await PresenceRepository(tx).forget_ended(KEEP_DAYS)


def presence_of(event: AgentOnline | AgentOffline) -> PresenceKey:
    """Tell of which connection a fact speaks."""
    return PresenceKey(account_id=event.account_id, agent_id=event.agent_id, epoch=event.epoch)
