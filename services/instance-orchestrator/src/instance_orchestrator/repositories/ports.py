"""Rows of `port_pair`."""

from collections.abc import Sequence

from instance_orchestrator.domain.instances import Ports
from shoal.database import Transaction

FREE_AGAIN_MINUTES = 10
"""How long a pair on which somebody else was seen is left alone."""


class PortRepository:
    """A pair is an instance's, or somebody else was seen on it lately."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def take(self, instance_id: int, *, first: int, last: int, busy: Sequence[int]) -> Ports | None:
        """Give an instance the lowest free pair; None when there is none. Takers wait for each other's commit."""
        await self._tx.execute("select pg_advisory_xact_lock(hashtext('instance_orchestrator:ports'))")
        await self._tx.execute(
            "delete from port_pair where instance_id is null and seen_at < now() - make_interval(mins => $1)",
            FREE_AGAIN_MINUTES,
        )
        return await self._tx.find(
            Ports,
            """
            insert into port_pair (chrome_port, terminal_port, instance_id)
            select chrome, chrome + 1, $1
              from generate_series($2::integer, $3::integer - 1, 2) as chrome
             where not exists (select from port_pair where chrome_port = chrome)
               and chrome <> all ($4::integer[])
               and chrome + 1 <> all ($4::integer[])
             order by chrome
             limit 1
            returning chrome_port as chrome, terminal_port as terminal
            """,
            *(instance_id, first, last, busy),
        )

    async def free(self, instance_id: int) -> None:
        """Give an instance's pair back."""
        await self._tx.execute("delete from port_pair where instance_id = $1", instance_id)

    async def leave(self, instance_id: int) -> None:
        """Take an instance off a pair on which somebody else was seen."""
        await self._tx.execute(
            "update port_pair set instance_id = null, seen_at = now() where instance_id = $1", instance_id
        )
