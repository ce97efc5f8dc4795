"""SQL of agents' connections."""

from datetime import datetime

from pairing.dashboard.domain import Presence, PresenceKey
from shoal.database import Transaction


class PresenceRepository:
    """Rows of `presence`, one per life of a connection."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def put(self, presence: Presence) -> None:
        """Take a connection, or its end, if that is newer than what is here."""
        await self._tx.execute(
            """
            insert into presence as known (account_id, agent_id, epoch, pairing_id, is_online, at, version)
            values ($1, $2, $3, $4, $5, $6, $7)
                on conflict (account_id, agent_id, epoch) do update
               set is_online = excluded.is_online, at = excluded.at, version = excluded.version
             where known.version < excluded.version
            """,
            *(presence.account_id, presence.agent_id, presence.epoch, presence.pairing_id),
            *(presence.is_online, presence.at, presence.version),
        )

    async def list_online(self) -> list[PresenceKey]:
        """List the connections that have not ended."""
        return await self._tx.all(PresenceKey, "select account_id, agent_id, epoch from presence where is_online")

    async def forget(self, key: PresenceKey) -> None:
        """Delete a connection."""
        await self._tx.execute(
            "delete from presence where account_id = $1 and agent_id = $2 and epoch = $3",
            *(key.account_id, key.agent_id, key.epoch),
        )

    async def forget_ended(self, days: int) -> int:
        """Delete connections that ended so long ago that no late fact can bring one back."""
        return await self._tx.execute(
            "delete from presence where not is_online and at < now() - make_interval(days => $1)", days
        )

    async def mark_last_seen(self, account_id: str, agent_id: str, *, pairing_id: str | None, at: datetime) -> None:
        """Note on the agent's pairings when it was last seen."""
        await self._tx.execute(
            """
            update pairing
               set last_seen = greatest(last_seen, $4)
             where account_id = $1
               and agent_id = $2
               and id = coalesce($3, id)
               and status = 'active'
            """,
            *(account_id, agent_id, pairing_id, at),
        )
