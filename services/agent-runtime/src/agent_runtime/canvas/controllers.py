"""HTTP: what agents draw."""

from typing import Annotated

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import Parameter

from agent_runtime.canvas.domain import ID_PATTERN, MAX_CANVASES
from agent_runtime.canvas.schemas import CanvasDone, CanvasView, CommandBody, DrawingView
from agent_runtime.canvas.usecases import Canvases
from shoal.http.auth import require_user
from shoal.identity import Principal

CanvasId = Annotated[str, Parameter(pattern=ID_PATTERN)]


class CanvasController(Controller):
    """Canvases of the caller's account; by convention a canvas has its session's key as its id."""

    path = "/api/canvas"
    tags = ("canvas",)
    guards = (require_user,)

    @get("/", operation_id="listCanvases", summary="List canvases")
    async def list_all(self, canvases: Canvases, principal: Principal) -> list[CanvasView]:
        """List canvases, drawn on last first."""
        rows = await canvases.list_for(principal.account_id, limit=MAX_CANVASES)
        return [CanvasView.from_domain(row) for row in rows]

    @get("/{canvas_id:str}/state", operation_id="getCanvas", summary="Show what stands on a canvas")
    async def show(self, canvas_id: CanvasId, canvases: Canvases, principal: Principal) -> DrawingView:
        """Show a canvas; one that nobody drew on is empty."""
        return DrawingView.from_domain(await canvases.state(principal.account_id, canvas_id))

    @post("/{canvas_id:str}/commands", operation_id="drawOnCanvas", summary="Draw", status_code=200)
    async def draw(
        self, canvas_id: CanvasId, data: CommandBody, canvases: Canvases, principal: Principal
    ) -> CanvasDone:
        """Draw on a canvas, as an agent does."""
        command = msgspec.to_builtins(data)
        await canvases.apply(principal.account_id, canvas_id, command, agent_id=principal.subject)
        return CanvasDone()

    @delete("/{canvas_id:str}", operation_id="deleteCanvas", summary="Delete a canvas", status_code=200)
    async def remove(self, canvas_id: CanvasId, canvases: Canvases, principal: Principal) -> CanvasDone:
        """Delete a canvas with everything on it."""
        await canvases.remove(principal.account_id, canvas_id)
        return CanvasDone()
