"""How OpenAPI documents tell what Litestar leaves out of them."""

from typing import Any

from litestar.openapi.spec import Schema
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition
from msgspec import Struct


class ClosedStructs(OpenAPISchemaPlugin):
    """Says of Structs that refuse fields they do not know that they do; all else is told by Litestar's own plugin."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """Tell whether this is such a Struct."""
        struct = _struct_of(field_definition)
        return struct is not None and struct.__struct_config__.forbid_unknown_fields

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        """Write its schema, closed."""
        others = (plugin for plugin in schema_creator.plugins if plugin is not self)
        whole = next(plugin for plugin in others if schema_creator.plugin_supports_field(plugin, field_definition))
        schema: Schema = whole.to_openapi_schema(field_definition, schema_creator)
        schema.additional_properties = False
        return schema


class DescribedStructs(OpenAPISchemaPlugin):
    """Shows Structs that name the shapes of which they are one as those: `described_as`, a Struct or a union.

    Such a body is read openly, for what it holds is judged by rules of the domain that no type can write.
    """

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """Tell whether this is such a Struct."""
        return hasattr(_struct_of(field_definition), "described_as")

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        """Write the schema of the shapes."""
        shapes = FieldDefinition.from_annotation(_struct_of(field_definition).described_as)
        schema: Schema = schema_creator.for_field_definition(shapes)
        return schema


def _struct_of(field_definition: FieldDefinition) -> Any:
    """Give the Struct that a field is one of; None for anything else, unions of Structs too."""
    if field_definition.is_union or not field_definition.is_subclass_of(Struct):
        return None
    return field_definition.origin or field_definition.annotation
