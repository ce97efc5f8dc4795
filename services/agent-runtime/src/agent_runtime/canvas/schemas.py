"""Bodies of the canvas' routes."""

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from agent_runtime.canvas.domain import CanvasSummary
from agent_runtime.ports import Drawing, DrawnElement


class CommandBody(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of `POST /api/canvas/{id}/commands`: the contract's `CanvasCommandData`."""

    command: Annotated[str, Meta(max_length=16)]
    id: Annotated[str, Meta(max_length=128)] | None = None
    element: dict[str, Any] | None = None
    position: dict[str, Any] | None = None
    commands: Annotated[list[dict[str, Any]], Meta(max_length=100)] | None = None


class CanvasView(Struct, frozen=True, kw_only=True):
    """An item of `GET /api/canvas`."""

    canvas_id: str
    element_count: int
    version: int
    updated_at: datetime

    @classmethod
    def from_domain(cls, row: CanvasSummary) -> "CanvasView":
        """Show a canvas."""
        return cls(canvas_id=row.id, element_count=row.element_count, version=row.version, updated_at=row.updated_at)


class DrawingView(Struct, frozen=True, kw_only=True):
    """Answer of `GET /api/canvas/{id}/state`."""

    canvas_id: str
    elements: tuple[DrawnElement, ...]
    element_count: int
    version: int

    @classmethod
    def from_domain(cls, drawing: Drawing) -> "DrawingView":
        """Show what stands on a canvas."""
        return cls(
            canvas_id=drawing.canvas_id,
            elements=drawing.elements,
            element_count=len(drawing.elements),
            version=drawing.version,
        )


class CanvasDone(Struct, frozen=True):
    """Answer when a canvas was changed."""

    success: bool = True
