"""Canvases: what agents draw is kept, and shown to every browser of the account."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent_runtime import quotas
from agent_runtime.canvas.domain import MAX_CANVASES, CanvasSummary, by_id, commands_of, update_of
from agent_runtime.canvas.errors import CanvasNotFoundError
from agent_runtime.canvas.repositories import CanvasRepository
from agent_runtime.ports import CanvasCommand, CanvasUpdate, Drawing, Frame, Frames, Topic
from shoal.clock import Clock
from shoal.database import Database, Transaction
from shoal.ids import new_id


class Canvases:
    """Draws, and tells what stands. It is the ports `Canvases` and `Drawings`.

    A command is kept first and shown afterwards, complete: with the name that an element was given, and with all of an
    element of which a part was changed. `version` counts the commands of a canvas. A new canvas takes the place of the
    one that nobody drew on for longest, where the account has as many as it keeps.
    """

    def __init__(self, database: Database, frames: Frames, clock: Clock) -> None:
        self._database = database
        self._frames = frames
        self._clock = clock

    async def apply(self, account_id: str, canvas_id: str, command: Mapping[str, Any], *, agent_id: str) -> None:
        """Keep what a command makes of a canvas, and show it.

        Raises:
            CommandInvalidError: It is no command, or changes what is not there; none of it is done.
            CanvasFullError: Too much would stand there.
        """
        async with self._database.transaction() as tx:
            canvases = CanvasRepository(tx)
            version = await canvases.lock(account_id, canvas_id)
            if version == 1:
                await quotas.hold(tx, account_id, "canvas")
                await canvases.forget_oldest(account_id, kept=MAX_CANVASES)
            standing = by_id(await canvases.elements(account_id, canvas_id))
            commands = commands_of(command, standing, lambda: new_id("el", length=10))
            for complete in commands:
                await _keep(canvases, account_id, canvas_id, complete)
        is_batch, at = command.get("command") == "batch", self._clock.now()
        update = update_of(canvas_id, commands, is_batch=is_batch, agent_id=agent_id, version=version, at=at)
        await self._frames.publish(Frame.of(account_id, Topic.CANVAS_UPDATE, update))

    async def state(self, account_id: str, canvas_id: str) -> Drawing:
        """Read a canvas; one that nobody drew on is empty."""
        async with self._database.reading() as database:
            return await _drawing(CanvasRepository(database), account_id, canvas_id)

    async def newest(self, account_id: str) -> Drawing | None:
        """Read the canvas that was drawn on last."""
        async with self._database.reading() as database:
            canvases = CanvasRepository(database)
            canvas_id = await canvases.newest(account_id)
            return None if canvas_id is None else await _drawing(canvases, account_id, canvas_id)

    async def canvas_of(self, account_id: str, element_id: str) -> str | None:
        """Tell on which canvas an element stands; the one drawn last if there are several."""
        async with self._database.reading() as database:
            return await CanvasRepository(database).canvas_of(account_id, element_id)

    async def list_for(self, account_id: str, *, limit: int) -> Sequence[CanvasSummary]:
        """List an account's canvases, drawn last first."""
        async with self._database.reading() as database:
            return await CanvasRepository(database).list(account_id, limit=limit)

    async def remove(self, account_id: str, canvas_id: str) -> None:
        """Delete a canvas, and clear it where it is shown.

        Raises:
            CanvasNotFoundError: The account has none of this id.
        """
        async with self._database.transaction() as tx:
            if not await CanvasRepository(tx).delete(account_id, canvas_id):
                raise CanvasNotFoundError
        update = CanvasUpdate("reset", canvas_id=canvas_id)
        await self._frames.publish(Frame.of(account_id, Topic.CANVAS_UPDATE, update))

    async def erase(self, tx: Transaction, account_id: str) -> None:
        """Erase what agents of an account drew that is no more."""
        await CanvasRepository(tx).erase(account_id)


async def _keep(canvases: CanvasRepository, account_id: str, canvas_id: str, command: CanvasCommand) -> None:
    if command.id is None or command.command == "remove":
        await canvases.remove(account_id, canvas_id, command.id)
    else:
        await canvases.put(account_id, canvas_id, command.id, command.element or {}, command.position)


async def _drawing(canvases: CanvasRepository, account_id: str, canvas_id: str) -> Drawing:
    version = await canvases.version(account_id, canvas_id)
    elements = await canvases.elements(account_id, canvas_id)
    return Drawing(canvas_id=canvas_id, version=version, elements=tuple(elements))
