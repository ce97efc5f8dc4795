"""What tools take."""

from typing import Any

import msgspec
from msgspec import Struct

from agent_runtime.errors import ToolError
from shoal.wording import problem_in


def schema_of(arguments: type[Struct]) -> dict[str, Any]:
    """Write the JSON Schema of a tool's arguments, without references."""
    (schema,), components = msgspec.json.schema_components([arguments], ref_template="{name}")
    return _inlined(schema, components)  # type: ignore[no-any-return]


def parse(arguments: str, kind: type[Any]) -> Any:
    """Read a call's arguments.

    Raises:
        ToolError: They are not what the tool takes.
    """
    try:
        return msgspec.json.decode(arguments or "{}", type=kind)
    except msgspec.ValidationError as error:
        raise ToolError(f"The arguments do not hold: {problem_in(error).sentence}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ToolError(f"The arguments do not hold: {error}") from error


def _inlined(schema: Any, components: dict[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inlined(components[schema["$ref"]], components)
        return {name: _inlined(value, components) for name, value in schema.items() if name != "title"}
    if isinstance(schema, list):
        return [_inlined(item, components) for item in schema]
    return schema
