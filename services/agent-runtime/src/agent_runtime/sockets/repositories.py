"""SQL of the slots that sockets take, and nothing else."""

from collections.abc import Sequence
from datetime import timedelta

from agent_runtime.sockets.domain.slots import Slot
from shoal.database import Transaction


class SlotRepository:
    """Rows of `socket`, one per signed-in socket; a row counts while its process beats in `socket_process`."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def queue(self, user_id: str) -> None:
        """Have a user's claims follow each other, over all processes: this one's turn lasts to the commit."""
        await self._tx.value("select pg_advisory_xact_lock(hashtextextended($1, 2))", user_id)

    async def claim(
        self, slot: Slot, *, process: str, held: Sequence[str], max_slots: int, silent_for: timedelta
    ) -> bool:
        """Take a slot for a socket, in its user's queue; False when the user has none left.

        Args:
            slot: Of which socket, and whose.
            process: Who holds the socket.
            held: Every socket of this user that this process holds by this turn; its other rows are left-overs.
            max_slots: How many a user has.
            silent_for: After how long without a beat a process' rows count no more.
        """
        await self._tx.execute("insert into socket_process (id) values ($1) on conflict do nothing", process)
        await self._tx.execute(
            "delete from socket where user_id = $1 and process = $2 and id <> all($3::text[])",
            *(slot.user_id, process, list(held)),
        )
        taken = await self._tx.execute(
            """
            insert into socket (id, account_id, user_id, process)
            select $1, $2, $3, $4
             where (select count(*)
                      from socket as taken
                      join socket_process as alive on alive.id = taken.process
                     where taken.user_id = $3
                       and (taken.process = $4 or alive.beat_at > now() - $6::interval)) < $5
            """,
            *(slot.socket_id, slot.account_id, slot.user_id, process, max_slots, silent_for),
        )
        return taken > 0

    async def free(self, socket_ids: Sequence[str]) -> None:
        """Give back the slots of sockets that are closed."""
        await self._tx.execute("delete from socket where id = any($1::text[])", list(socket_ids))

    async def beat(self, process: str) -> bool:
        """Prove that a process lives; True when it was not known, or was taken for lost."""
        return bool(
            await self._tx.value(
                """
                insert into socket_process (id) values ($1)
                    on conflict (id) do update
                   set beat_at = now()
                returning xmax = 0
                """,
                process,
            )
        )

    async def restore(self, process: str, held: Sequence[Slot]) -> None:
        """Count the sockets again that a process holds, after it was taken for lost."""
        await self._tx.execute_many(
            """
            insert into socket (id, account_id, user_id, process)
            values ($1, $2, $3, $4)
                on conflict do nothing
            """,
            [(slot.socket_id, slot.account_id, slot.user_id, process) for slot in held],
        )

    async def forget_silent(self, silent_for: timedelta) -> list[str]:
        """Give back every slot of processes that are lost; returns the accounts that had some."""
        accounts = await self._tx.all(
            str,
            """
            with lost as (
                delete from socket as held
                 using socket_process as silent
                 where silent.id = held.process
                   and silent.beat_at < now() - $1::interval
                returning held.account_id
            )
            select distinct account_id from lost
            """,
            silent_for,
        )
        await self._tx.execute("delete from socket_process where beat_at < now() - $1::interval", silent_for)
        return accounts

    async def end(self, process: str) -> None:
        """Give back every slot of a process that stops."""
        await self._tx.execute("delete from socket_process where id = $1", process)

    async def count(self, account_id: str, *, silent_for: timedelta) -> int:
        """Count an account's open sockets, over all processes."""
        return int(
            await self._tx.value(
                """
                select count(*)
                  from socket as held
                  join socket_process as alive on alive.id = held.process
                 where held.account_id = $1
                   and alive.beat_at > now() - $2::interval
                """,
                *(account_id, silent_for),
            )
        )
