"""Bodies of the canvas' routes.

What may be drawn is told here for OpenAPI alone: `agent_runtime.canvas.domain` judges it, takes both spellings of a
name (`chartType` and `chart_type`), and keeps fields that nobody here knows.
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct

from agent_runtime.canvas.domain import ID_PATTERN, MAX_COMMANDS, CanvasSummary
from agent_runtime.ports import Drawing, DrawnElement

ElementId = Annotated[str, Meta(pattern=ID_PATTERN)]


class TextElement(Struct, frozen=True, tag_field="type", tag="text"):
    """Words."""

    content: str
    format: Literal["plain", "markdown"] = "plain"


class ButtonElement(Struct, frozen=True, tag_field="type", tag="button"):
    """A button; whoever presses it sends its `action`."""

    label: str
    action: str = ""
    disabled: bool = False


class InputElement(Struct, frozen=True, tag_field="type", tag="input"):
    """A line to write into."""

    label: str = ""
    placeholder: str = ""
    value: str = ""


class ImageElement(Struct, frozen=True, tag_field="type", tag="image"):
    """A picture: an address of the web, a path, or `data:image/…`."""

    src: str
    alt: str = ""


class CodeElement(Struct, frozen=True, tag_field="type", tag="code"):
    """Code to read."""

    code: str
    language: str = ""


class TableElement(Struct, frozen=True, tag_field="type", tag="table"):
    """A table, row by row."""

    headers: list[str]
    rows: list[list[Any]]


class FormField(Struct, frozen=True):
    """A field of a form."""

    name: str
    label: str = ""
    field_type: str = "text"
    required: bool = False
    placeholder: str = ""


class FormElement(Struct, frozen=True, tag_field="type", tag="form"):
    """A form; whoever sends it off sends `submit_action` and the values by name."""

    fields: list[FormField]
    submit_action: str = ""


class ChartPoint(Struct, frozen=True):
    """A value of a chart."""

    label: str
    value: float


class ChartElement(Struct, frozen=True, tag_field="type", tag="chart", rename="camel"):
    """A chart."""

    data: list[ChartPoint]
    chart_type: Literal["bar", "line", "pie"] = "bar"
    title: str = ""
    colors: list[str] = []


class CodeEditorElement(Struct, frozen=True, tag_field="type", tag="code_editor", rename="camel"):
    """Code to write."""

    code: str
    language: str = ""
    editable: bool = True
    line_numbers: bool = True


class AdvancedFormField(Struct, frozen=True):
    """A field of an advanced form."""

    name: str
    type: Literal["text", "number", "select", "checkbox", "textarea"] = "text"
    label: str = ""
    required: bool = False
    options: list[str] = []
    min: float | None = None
    max: float | None = None
    placeholder: str = ""


class AdvancedFormElement(Struct, frozen=True, tag_field="type", tag="form_advanced", rename="camel"):
    """A form of fields of several kinds."""

    fields: list[AdvancedFormField]
    submit_action: str = ""


Element = (
    TextElement
    | ButtonElement
    | InputElement
    | ImageElement
    | CodeElement
    | TableElement
    | FormElement
    | ChartElement
    | CodeEditorElement
    | AdvancedFormElement
)


class RenderCommand(Struct, frozen=True, tag_field="command", tag="render"):
    """Draws an element, in place of the one of that id; without an id it is given one."""

    element: Element
    id: ElementId | None = None
    position: dict[str, Any] | None = None


class UpdateCommand(Struct, frozen=True, tag_field="command", tag="update"):
    """Changes those fields of an element that it names."""

    id: ElementId
    element: dict[str, Any]
    position: dict[str, Any] | None = None


class RemoveCommand(Struct, frozen=True, tag_field="command", tag="remove"):
    """Takes an element away."""

    id: ElementId


class ResetCommand(Struct, frozen=True, tag_field="command", tag="reset"):
    """Takes everything away."""


Single = RenderCommand | UpdateCommand | RemoveCommand | ResetCommand


class BatchCommand(Struct, frozen=True, tag_field="command", tag="batch"):
    """Does several at once, or none."""

    commands: Annotated[list[Single], Meta(min_length=1, max_length=MAX_COMMANDS)]


class CommandBody(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of `POST /api/canvas/{id}/commands`: the contract's `CanvasCommandData`."""

    described_as: ClassVar[Any] = Single | BatchCommand

    command: Annotated[str, Meta(max_length=16)]
    id: Annotated[str, Meta(max_length=128)] | None = None
    element: dict[str, Any] | None = None
    position: dict[str, Any] | None = None
    commands: Annotated[list[dict[str, Any]], Meta(max_length=MAX_COMMANDS)] | None = None


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
