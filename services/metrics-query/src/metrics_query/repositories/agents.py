"""Tables `pairing` and `closed_account`: a copy of who is paired, and the agents that follow from it."""

from collections.abc import Sequence
from datetime import timedelta

from metrics_query.domain.fleet import Agent
from shoal.database import Transaction

RUNTIME = "runtime:"
"""How the places of agents of the runtime are named, which are on dashboards without being paired."""


class AgentRepository:
    """Which agents there are. Facts may come in any order: each takes only what it knows better."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def find(self, account_id: str, agent_id: str) -> Agent | None:
        """Find a paired agent; of several pairings, the latest speaks."""
        return await self._tx.find(
            Agent,
            """
            select pairing.agent_id, pairing_id, name, source.id as source, first_minute, last_minute
              from pairing
              left join source using (account_id, agent_id)
             where pairing.account_id = $1
               and pairing.agent_id = $2
               and deleted_at is null
             order by version desc
             limit 1
            """,
            *(account_id, agent_id),
        )

    async def list(self, account_id: str) -> list[Agent]:
        """List an account's paired agents by id."""
        return await self._tx.all(
            Agent,
            """
            select distinct on (agent_id)
                   pairing.agent_id, pairing_id, name, source.id as source, first_minute, last_minute
              from pairing
              left join source using (account_id, agent_id)
             where pairing.account_id = $1
               and pairing.agent_id is not null
               and deleted_at is null
             order by agent_id, version desc
            """,
            account_id,
        )

    async def confirm(self, pairing_id: str, *, account_id: str, agent_id: str, name: str, version: int) -> None:
        """Take a confirmed pairing; the agent never changes, so it is taken from an older fact too."""
        await self._tx.execute(
            """
            insert into pairing as known (pairing_id, account_id, agent_id, name, version)
            values ($1, $2, $3, $4, $5)
                on conflict (pairing_id) do update
               set agent_id = excluded.agent_id,
                   name = case when excluded.version > known.version then excluded.name else known.name end,
                   version = greatest(known.version, excluded.version)
            """,
            *(pairing_id, account_id, agent_id, name, version),
        )

    async def rename(self, pairing_id: str, *, account_id: str, name: str, version: int) -> None:
        """Take a pairing's new name if it is newer."""
        await self._tx.execute(
            """
            insert into pairing as known (pairing_id, account_id, name, version)
            values ($1, $2, $3, $4)
                on conflict (pairing_id) do update
               set name = excluded.name, version = excluded.version
             where excluded.version > known.version
            """,
            *(pairing_id, account_id, name, version),
        )

    async def end(self, pairing_id: str, *, account_id: str, version: int) -> None:
        """Leave a tombstone."""
        await self._tx.execute(
            """
            insert into pairing as known (pairing_id, account_id, version, deleted_at)
            values ($1, $2, $3, now())
                on conflict (pairing_id) do update
               set deleted_at = coalesce(known.deleted_at, now()),
                   version = greatest(known.version, excluded.version)
            """,
            *(pairing_id, account_id, version),
        )

    async def list_known(self, *, is_runtime: bool) -> Sequence[str]:
        """List the places on dashboards that are taken: by pairing, or by agents of the runtime."""
        return await self._tx.all(
            str,
            """
            select pairing_id
              from pairing
             where agent_id is not null and deleted_at is null and starts_with(pairing_id, $1) = $2
            """,
            *(RUNTIME, is_runtime),
        )

    async def delete(self, pairing_id: str) -> None:
        """Forget a pairing altogether."""
        await self._tx.execute("delete from pairing where pairing_id = $1", pairing_id)

    async def close_account(self, account_id: str) -> None:
        """Note that an account is gone, with its pairings."""
        await self._tx.execute("insert into closed_account (account_id) values ($1) on conflict do nothing", account_id)
        await self._tx.execute(
            "update pairing set deleted_at = now() where account_id = $1 and deleted_at is null", account_id
        )

    async def forget_tombstones(self, older_than: timedelta) -> int:
        """Delete tombstones that no fact can need any more."""
        return await self._tx.execute("delete from pairing where deleted_at < now() - $1::interval", older_than)
