"""How OpenAPI documents tell what Litestar leaves out of them, or does not know."""

from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Schema
from litestar.plugins import OpenAPISchemaPlugin
from litestar.routes import HTTPRoute
from litestar.typing import FieldDefinition
from msgspec import Struct

from shoal.http.bodies import ErrorBody, ProblemBody
from shoal.http.families import family_of

REFUSED_AS = "refused_as"
"""Marks a route that has a body of its own beside the common one: `opt={REFUSED_AS: ItsStruct}`."""
REFUSED_BY_PAGE = "refused_by_page"
"""Marks a route that shows a refusal to browsers as a page: `opt={REFUSED_BY_PAGE: True}`."""
_FRAMEWORKS = "status_code"
"""A field of the refusals that Litestar makes up; ours have it nowhere, for none are sent so."""


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


def describe(app: Litestar) -> dict[str, Any]:
    """Write an application's OpenAPI document, with how each operation refuses and which bodies may be left out."""
    document: dict[str, Any] = app.openapi_schema.to_schema()
    schemas = document["components"].setdefault("schemas", {})
    for path, operation, handler in _operations(app, document):
        body = handler.parsed_fn_signature.parameters.get("data")
        if body is not None and body.has_default:
            operation["requestBody"]["required"] = False
        responses, own = operation["responses"], handler.opt.get(REFUSED_AS)
        for status in [status for status, response in responses.items() if _is_made_up(response)]:
            del responses[status]
        (error, problem, *others), named = msgspec.json.schema_components(
            [ErrorBody, ProblemBody, *([own] if own else [])], ref_template="#/components/schemas/{name}"
        )
        schemas |= named
        content = {
            "application/json": {"schema": {"anyOf": [error, *others]} if others else error},
            "application/problem+json": {"schema": problem},
        }
        if handler.opt.get(REFUSED_BY_PAGE):
            content["text/html"] = {"schema": {"type": "string"}}
        responses["default"] = {"description": _refused(path), "content": content}
    return document


def _operations(app: Litestar, document: Any) -> Iterator[tuple[str, dict[str, Any], HTTPRouteHandler]]:
    """Give each operation of a document with its path and the handler behind it."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            item = document["paths"].get(route.path_format or "/", {})
            for method, (handler, _) in route.route_handler_map.items():
                if operation := item.get(method.lower()):
                    yield route.path_format, operation, handler


def _refused(path: str) -> str:
    family = family_of(path)
    return f"Refused. `code` is {family.code_style}; a request of another shape is {family.validation_status}."


def _is_made_up(response: dict[str, Any]) -> bool:
    schemas = (content.get("schema", {}) for content in response.get("content", {}).values())
    return any(_FRAMEWORKS in schema.get("properties", {}) for schema in schemas)
