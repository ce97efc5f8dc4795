"""Rows of `link`, `link_transition` and `link_event`."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from shoal.database import Transaction
from ssh_manager.links.domain import Health, LinkEvent, Snapshot, State, Transition


class _Row(Struct, frozen=True):
    instance_id: int
    state: State
    connected_at: datetime | None
    checked_at: datetime | None
    is_healthy: bool
    successful_checks: int
    failed_checks: int
    reconnections: int

    def to_domain(self) -> Snapshot:
        health = Health(
            connected_at=self.connected_at,
            checked_at=self.checked_at,
            is_healthy=self.is_healthy,
            successful_checks=self.successful_checks,
            failed_checks=self.failed_checks,
            reconnections=self.reconnections,
        )
        return Snapshot(instance_id=self.instance_id, state=self.state, health=health)


class LinkRepository:
    """What is kept of connections; nothing of instances that are gone."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def select(self) -> list[Snapshot]:
        """Read every connection as it was last seen."""
        rows = await self._tx.all(
            _Row,
            """
            select instance_id, state, connected_at, checked_at, is_healthy, successful_checks, failed_checks,
                   reconnections
              from link
            """,
        )
        return [row.to_domain() for row in rows]

    async def put(self, links: Sequence[Snapshot]) -> None:
        """Keep connections as they are now."""
        await self._tx.execute_many(
            """
            insert into link (instance_id, state, connected_at, checked_at, is_healthy, successful_checks,
                              failed_checks, reconnections)
            select $1, $2, $3, $4, $5, $6, $7, $8
             where exists (select from instance where id = $1 and status <> 'deleted')
                on conflict (instance_id) do update
               set state = excluded.state, connected_at = excluded.connected_at, checked_at = excluded.checked_at,
                   is_healthy = excluded.is_healthy, successful_checks = excluded.successful_checks,
                   failed_checks = excluded.failed_checks, reconnections = excluded.reconnections
            """,
            [
                (
                    *(link.instance_id, link.state, link.health.connected_at, link.health.checked_at),
                    *(link.health.is_healthy, link.health.successful_checks, link.health.failed_checks),
                    link.health.reconnections,
                )
                for link in links
            ],
        )

    async def add_transitions(self, transitions: Sequence[Transition]) -> None:
        """Keep changes of state."""
        await self._tx.execute_many(
            """
            insert into link_transition (instance_id, from_state, to_state, at)
            select $1, $2, $3, $4
             where exists (select from instance where id = $1 and status <> 'deleted')
            """,
            [(one.instance_id, one.from_state, one.to_state, one.at) for one in transitions],
        )

    async def add_events(self, events: Sequence[LinkEvent]) -> None:
        """Keep what happened."""
        await self._tx.execute_many(
            """
            insert into link_event (instance_id, instance_name, type, details, at)
            select $1, $2, $3, $4, $5
             where exists (select from instance where id = $1 and status <> 'deleted')
            """,
            [(one.instance_id, one.instance_name, one.type, one.details, one.at) for one in events],
        )

    async def transitions(self, instance_id: int, limit: int) -> list[Transition]:
        """Read the last changes of state, the newest first."""
        return await self._tx.all(
            Transition,
            """
            select instance_id, from_state, to_state, at
              from link_transition
             where instance_id = $1
             order by id desc
             limit $2
            """,
            *(instance_id, limit),
        )

    async def events(self, instance_id: int, limit: int) -> list[LinkEvent]:
        """Read what happened last, the newest first."""
        return await self._tx.all(
            LinkEvent,
            """
            select instance_id, instance_name, type, details, at
              from link_event
             where instance_id = $1
             order by id desc
             limit $2
            """,
            *(instance_id, limit),
        )

    async def forget(self, instance_id: int) -> None:
        """Forget an instance that is gone."""
        await self._tx.execute("delete from link_event where instance_id = $1", instance_id)
        await self._tx.execute("delete from link_transition where instance_id = $1", instance_id)
        await self._tx.execute("delete from link where instance_id = $1", instance_id)

    async def forget_old(self, age: timedelta) -> int:
        """Delete what happened longer ago; returns how much that was."""
        events = await self._tx.execute("delete from link_event where at < now() - $1::interval", age)
        return events + await self._tx.execute("delete from link_transition where at < now() - $1::interval", age)
