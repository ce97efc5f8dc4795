"""What agents draw."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct


class Canvases(Protocol):
    """Draws on canvases, for agents and for people."""

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


class CanvasCommand(Struct, frozen=True, omit_defaults=True):
    """One command that changes one element, or all of them; complete, whatever its writer left out.

    Args:
        command: render, update, remove or reset.
        id: Which element; None: all.
        element: The whole of it as it stands afterwards.
        position: Where it stands; None: where it stood.
    """

    command: str
    id: str | None = None
    element: dict[str, Any] | None = None
    position: dict[str, Any] | None = None


class CanvasUpdate(CanvasCommand, frozen=True, kw_only=True, omit_defaults=True):
    """The payload of `canvas:update`: a command, or with `command` as `batch` several, and of which canvas.

    Args:
        canvas_id: Which canvas.
        commands: Those of a batch, in their order.
        agent_id: Who drew.
        version: How many times the canvas was drawn on, this time included.
        timestamp: When that was, as RFC 3339 in UTC.
    """

    canvas_id: str
    commands: tuple[CanvasCommand, ...] | None = None
    agent_id: str = ""
    version: int = 0
    timestamp: str = ""


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
    """Reads what stands on canvases."""

    async def state(self, account_id: str, canvas_id: str) -> Drawing:
        """Read a canvas; one that nobody drew on is empty."""
        ...

    async def newest(self, account_id: str) -> Drawing | None:
        """Read the canvas that was drawn on last."""
        ...

    async def canvas_of(self, account_id: str, element_id: str) -> str | None:
        """Tell on which canvas an element stands; the one drawn last if there are several."""
        ...
