"""What agents draw."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct


class Canvases(Protocol):
    """What agents draw."""

    async def apply(self, account_id: str, canvas_id: str, command: Mapping[str, Any], *, agent_id: str) -> None:
        """Keep what a command (render, update, remove, reset, batch) makes of a canvas, and send `canvas:update`.

        Args:
            account_id: Whose.
            canvas_id: Which; by convention the session's key.
            command: As the contract's `CanvasCommandData`.
            agent_id: Who draws.

        Raises:
            ValidationError: It is no command.
        """
        ...


class DrawnElement(Struct, frozen=True, kw_only=True):
    """One element that stands on a canvas."""

    id: str
    element: dict[str, Any]
    position: dict[str, Any] | None
    updated_at: datetime


class Drawing(Struct, frozen=True, kw_only=True):
    """What stands on a canvas, in the order in which it was drawn."""

    canvas_id: str
    version: int
    elements: tuple[DrawnElement, ...]


class Drawings(Protocol):
    """What agents drew."""

    async def state(self, account_id: str, canvas_id: str) -> Drawing:
        """Read a canvas; one that nobody drew on is empty."""
        ...

    async def newest(self, account_id: str) -> Drawing | None:
        """Read the canvas that was drawn on last."""
        ...

    async def canvas_of(self, account_id: str, element_id: str) -> str | None:
        """Tell on which canvas an element stands; the one drawn last if there are several."""
        ...
