"""SQL of presences, processes and their beats."""

from collections.abc import Sequence
from datetime import timedelta

from shoal.database import Transaction
from telemetry_ingest.domain.closings import Gone
from telemetry_ingest.domain.presences import EndedPresence, Presence, PresenceRow


class PresenceRepository:
    """Rows of `presence` and `process`. Every moment is the database's."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def beat(self, process: str) -> None:
        """Prove that a process lives."""
        await self._tx.execute(
            """
            insert into process (id, beat_at) values ($1, now())
                on conflict (id) do update set beat_at = now()
            """,
            process,
        )

    async def hold_pairings(self, pairing_ids: Sequence[str]) -> None:
        """Let no other process begin or end presences of these pairings until the commit."""
        await self._tx.execute(
            """
            select pg_advisory_xact_lock(locks.key)
              from (select distinct hashtextextended(id, 0) as key
                      from unnest($1::text[]) as id
                     order by key) as locks
            """,
            list(pairing_ids),
        )

    async def has_newer(self, presence: Presence, *, age: timedelta) -> bool:
        """Tell whether a younger presence of the same pairing is there already."""
        return bool(
            await self._tx.value(
                """
                select exists (select from presence
                                where pairing_id = $1
                                  and ended_at is null
                                  and epoch <> $2
                                  and began_at > now() - $3::interval)
                """,
                *(presence.pairing_id, presence.epoch, age),
            )
        )

    async def insert(self, presence: Presence, *, process: str, age: timedelta) -> bool:
        """Add a presence that began `age` ago; False when it is there already."""
        return bool(
            await self._tx.execute(
                """
                insert into presence (account_id, agent_id, epoch, pairing_id, process, socket_id, began_at)
                values ($1, $2, $3, $4, $5, $6, now() - $7::interval)
                    on conflict do nothing
                """,
                *(presence.account_id, presence.agent_id, presence.epoch, presence.pairing_id),
                *(process, presence.socket_id, age),
            )
        )

    async def supersede(self, presence: Presence, *, process: str) -> list[EndedPresence]:
        """End every other presence of the same pairing; those of other processes are marked for their owners."""
        return await self._tx.all(
            EndedPresence,
            """
            update presence
               set ended_at = now(), gone = 'closed', superseded = true, is_taken = process <> $3
             where pairing_id = $1
               and epoch <> $2
               and ended_at is null
            returning account_id, agent_id, epoch, pairing_id, socket_id, ended_at, gone, superseded
            """,
            *(presence.pairing_id, presence.epoch, process),
        )

    async def end(self, presence: Presence, gone: Gone) -> EndedPresence | None:
        """End a presence; None when it has ended already, or never began."""
        return await self._tx.find(
            EndedPresence,
            """
            update presence
               set ended_at = now(), gone = $4
             where account_id = $1
               and agent_id = $2
               and epoch = $3
               and ended_at is null
            returning account_id, agent_id, epoch, pairing_id, socket_id, ended_at, gone, superseded
            """,
            *(presence.account_id, presence.agent_id, presence.epoch, gone),
        )

    async def take_notice(self, process: str) -> list[EndedPresence]:
        """Read, once, which presences of a process others have ended."""
        return await self._tx.all(
            EndedPresence,
            """
            update presence
               set is_taken = false
             where process = $1
               and is_taken
            returning account_id, agent_id, epoch, pairing_id, socket_id, ended_at, gone, superseded
            """,
            process,
        )

    async def lost_processes(self, silent_for: timedelta, *, but: str) -> list[str]:
        """Find other processes whose beat is missing; each is found by one process only."""
        return await self._tx.all(
            str,
            "select id from process where beat_at < now() - $1::interval and id <> $2 for update skip locked",
            *(silent_for, but),
        )

    async def end_all_of(self, processes: Sequence[str]) -> list[EndedPresence]:
        """End every presence of processes that are lost, and forget these processes."""
        ended = await self._tx.all(
            EndedPresence,
            """
            update presence
               set ended_at = now(), gone = 'process_lost', is_taken = true
             where process = any($1::text[])
               and ended_at is null
            returning account_id, agent_id, epoch, pairing_id, socket_id, ended_at, gone, superseded
            """,
            list(processes),
        )
        await self._tx.execute("delete from process where id = any($1::text[])", list(processes))
        return ended

    async def leave(self, process: str) -> None:
        """Forget a process that stops in good order."""
        await self._tx.execute("delete from process where id = $1", process)

    async def export(self, after: tuple[str, str, str], limit: int) -> list[PresenceRow]:
        """List presences in the order of account, agent and epoch."""
        return await self._tx.all(
            PresenceRow,
            """
            select account_id, agent_id, epoch, pairing_id, began_at, ended_at, gone
              from presence
             where (account_id, agent_id, epoch) > ($1, $2, $3)
             order by account_id, agent_id, epoch
             limit $4
            """,
            *(*after, limit),
        )

    async def forget_ended(self, days: int) -> int:
        """Delete presences that ended so long ago that nobody's copy can lack their end."""
        return await self._tx.execute("delete from presence where ended_at < now() - make_interval(days => $1)", days)
