"""Refusals of canvases."""

from agent_runtime.errors import FieldRefusedError
from shoal.errors import NotFoundError, ValidationError


class CommandInvalidError(FieldRefusedError):
    """This is no command for a canvas."""

    code = "invalid_canvas_command"


class CanvasFullError(ValidationError):
    """A canvas holds 500 elements and 512 KiB at most."""

    code = "canvas_full"


class CanvasNotFoundError(NotFoundError):
    """The account has no such canvas."""
