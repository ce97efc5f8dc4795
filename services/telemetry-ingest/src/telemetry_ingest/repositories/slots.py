"""SQL of the slots that users' sockets take."""

from collections.abc import Sequence
from datetime import timedelta

from shoal.database import Transaction


class SlotRepository:
    """Rows of `socket_slot`; a row counts while its process beats."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def claim(
        self,
        user_id: str,
        *,
        process: str,
        socket_id: str,
        held: Sequence[str],
        max_slots: int,
        silent_for: timedelta,
    ) -> bool:
        """Take a slot for a socket; False when all are taken.

        Args:
            user_id: Whose slot.
            process: Who holds the socket.
            socket_id: The socket.
            held: Every socket of this user that this process holds now; its other rows are left-overs.
            max_slots: How many a user has.
            silent_for: After how long without a beat a process' rows count no more.
        """
        await self._tx.value("select pg_advisory_xact_lock(hashtextextended($1, 1))", user_id)
        await self._tx.execute(
            """
            delete from socket_slot as taken
             where user_id = $1
               and case when process = $2 then socket_id <> all($3::text[])
                        else not exists (select from process as alive
                                          where alive.id = taken.process
                                            and alive.beat_at > now() - $4::interval)
                   end
            """,
            *(user_id, process, list(held), silent_for),
        )
        return bool(
            await self._tx.execute(
                """
                insert into socket_slot (user_id, slot, process, socket_id)
                select $1, free.slot, $2, $3
                  from generate_series(1, $4::int) as free (slot)
                 where free.slot not in (select slot from socket_slot where user_id = $1)
                 order by free.slot
                 limit 1
                """,
                *(user_id, process, socket_id, max_slots),
            )
        )

    async def free(self, socket_ids: Sequence[str], *, process: str) -> None:
        """Give back the slots of sockets that are closed."""
        await self._tx.execute(
            "delete from socket_slot where process = $1 and socket_id = any($2::text[])",
            *(process, list(socket_ids)),
        )

    async def free_all_of(self, processes: Sequence[str]) -> None:
        """Give back every slot of processes that are lost."""
        await self._tx.execute("delete from socket_slot where process = any($1::text[])", list(processes))
