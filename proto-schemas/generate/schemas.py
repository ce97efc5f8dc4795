"""JSON Schema of the messages, as they stand in the AsyncAPI document."""

from typing import Any

from generate.contracts import TIMESTAMP, Field, File, Message

Schema = dict[str, Any]

SCALARS: dict[str, Schema] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "double": {"type": "number"},
    "int32": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "uint32": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    TIMESTAMP: {"type": "string", "format": "date-time"},
}
REQUIRED: dict[str, Schema] = {"string": {"minLength": 1}, "uint32": {"minimum": 1}}


def component(version: str, name: str) -> str:
    """Name a message among the components of all versions."""
    return name if version == "v1" else f"{name}{version.upper()}"


def render(files: tuple[File, ...]) -> dict[str, Schema]:
    """Return the schema of each message by its component name."""
    messages = [(file.version, message) for file in files for message in file.messages]
    return {component(version, message.name): _object(message, version) for version, message in messages}


def _object(message: Message, version: str) -> Schema:
    required = [field.name for field in message.fields if field.is_required]
    return {
        "type": "object",
        "description": message.doc,
        **({"required": required} if required else {}),
        "properties": {field.name: _property(field, version) for field in message.fields},
    }


def _property(field: Field, version: str) -> Schema:
    if field.local_type:
        value: Schema = {"$ref": f"#/components/schemas/{component(version, field.local_type)}"}
    else:
        value = SCALARS[field.type] | (REQUIRED.get(field.type, {}) if field.is_required else {})
    if field.is_map:
        return {"type": "object", "description": field.doc, "additionalProperties": value}
    if field.is_repeated:
        return {"type": "array", "description": field.doc, "items": value}
    return {"description": field.doc, **value}
