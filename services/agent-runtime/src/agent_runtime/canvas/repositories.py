"""SQL of canvases, and nothing else."""

from collections.abc import Sequence
from typing import Any

from agent_runtime.canvas.domain import CanvasSummary
from agent_runtime.ports import DrawnElement
from shoal.database import Transaction


class CanvasRepository:
    """Rows of `canvas` and `canvas_element`; the canvas' row is held while its elements change."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def lock(self, account_id: str, canvas_id: str) -> int:
        """Hold a canvas, making it if need be, and count it on; returns its version."""
        return int(
            await self._tx.value(
                """
                insert into canvas as drawn (account_id, id)
                values ($1, $2)
                    on conflict (account_id, id) do update
                   set version = drawn.version + 1, updated_at = clock_timestamp()
                returning version
                """,
                *(account_id, canvas_id),
            )
        )

    async def forget_oldest(self, account_id: str, *, kept: int) -> None:
        """Delete all but so many canvases, those drawn on last; one that is being drawn on stays."""
        await self._tx.execute(
            """
            delete from canvas
             where account_id = $1
               and id in (select id
                            from canvas
                           where account_id = $1
                             and updated_at < (select updated_at
                                                 from canvas
                                                where account_id = $1
                                                order by updated_at desc
                                                limit 1 offset $2 - 1)
                             for update skip locked)
            """,
            *(account_id, kept),
        )

    async def version(self, account_id: str, canvas_id: str) -> int:
        """Read a canvas' version; 0 when nobody drew on it."""
        version = await self._tx.value(
            "select version from canvas where account_id = $1 and id = $2", account_id, canvas_id
        )
        return int(version or 0)

    async def newest(self, account_id: str) -> str | None:
        """Find the canvas that was drawn on last."""
        found: str | None = await self._tx.value(
            "select id from canvas where account_id = $1 order by updated_at desc limit 1", account_id
        )
        return found

    async def list(self, account_id: str, *, limit: int) -> Sequence[CanvasSummary]:
        """List an account's canvases, drawn last first."""
        return await self._tx.all(
            CanvasSummary,
            """
            select drawn.id, drawn.version, drawn.updated_at,
                   (select count(*)
                      from canvas_element as held
                     where held.account_id = drawn.account_id
                       and held.canvas_id = drawn.id) as element_count
              from canvas as drawn
             where drawn.account_id = $1
             order by drawn.updated_at desc
             limit $2
            """,
            *(account_id, limit),
        )

    async def elements(self, account_id: str, canvas_id: str) -> Sequence[DrawnElement]:
        """List what stands on a canvas, in the order in which it was drawn."""
        return await self._tx.all(
            DrawnElement,
            """
            select id, element, position, updated_at
              from canvas_element
             where account_id = $1
               and canvas_id = $2
             order by place
            """,
            *(account_id, canvas_id),
        )

    async def canvas_of(self, account_id: str, element_id: str) -> str | None:
        """Find the canvas on which an element was drawn last."""
        found: str | None = await self._tx.value(
            """
            select canvas_id
              from canvas_element
             where account_id = $1
               and id = $2
             order by updated_at desc
             limit 1
            """,
            *(account_id, element_id),
        )
        return found

    async def put(
        self, account_id: str, canvas_id: str, element_id: str, element: dict[str, Any], position: dict[str, Any] | None
    ) -> None:
        """Draw an element, or draw it anew in its place; without a position it keeps its own."""
        await self._tx.execute(
            """
            insert into canvas_element as held (account_id, canvas_id, id, element, position)
            values ($1, $2, $3, $4, $5)
                on conflict (account_id, canvas_id, id) do update
               set element = excluded.element, position = coalesce(excluded.position, held.position),
                   updated_at = clock_timestamp()
            """,
            *(account_id, canvas_id, element_id, element, position),
        )

    async def remove(self, account_id: str, canvas_id: str, element_id: str | None) -> None:
        """Take an element away, or all of them."""
        await self._tx.execute(
            "delete from canvas_element where account_id = $1 and canvas_id = $2 and id = coalesce($3, id)",
            *(account_id, canvas_id, element_id),
        )

    async def delete(self, account_id: str, canvas_id: str) -> int:
        """Delete a canvas with everything on it; returns how many there were."""
        return await self._tx.execute("delete from canvas where account_id = $1 and id = $2", account_id, canvas_id)

    async def erase(self, account_id: str) -> None:
        """Delete an account's canvases."""
        await self._tx.execute("delete from canvas where account_id = $1", account_id)
