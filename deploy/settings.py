"""The settings of every service, read from its Config and the words below each field.

The chart decides some of them, docs/settings.md lists them all.
"""

import ast
import inspect
import typing
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from types import NoneType, UnionType
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from shoal.config import ServiceConfig, Variable
from shoal.service import Service, installed
from shoal.variables import written

DECIDED = frozenset(
    {"host", "port", "database_url", "nats_url", "nats_ca", "identity_key", "identity_keys", "services", "state",
     "backend", "kubeconfig", "image", "namespace", "installation"}
)  # fmt: skip
"""Settings that the chart decides itself."""
INSIDE: Mapping[str, object] = {"drain_delay": timedelta(seconds=5), "host": "0.0.0.0"}
"""Defaults that are others in a cluster than on one machine."""


class Field(Struct):
    """One setting as the chart has it."""

    name: str
    variable: str
    default: object
    hint: Any
    words: str
    is_shared: bool
    is_required: bool

    @property
    def key(self) -> str:
        """The setting's name in values.yaml."""
        first, *rest = self.name.split("_")
        return first + "".join(word.title() for word in rest)


def fields(name: str) -> Iterator[Field]:
    """Yield the settings of a service that a chart may decide: shared ones first, then its own, in their order."""
    service = installed().get(name)
    config = service.config if service is not None else ServiceConfig
    ordered = sorted(_every(config, _prefix(service, name)), key=lambda one: one.name not in _names(ServiceConfig))
    for field in ordered:
        if field.name not in DECIDED or field.name == "host":
            yield msgspec.structs.replace(field, default=INSIDE.get(field.name, field.default))


def tables() -> str:
    """Write every setting there is: those of every service, then what each has beside them."""
    text = f"## Every service\n\n{_table(_every(ServiceConfig, '<SERVICE>'))}"
    for service in installed().values():
        own = (one for one in _every(service.config, service.prefix) if one.name not in _names(ServiceConfig))
        text += f"\n## {service.name}\n\nPort {service.port}.\n\n{_table(own)}"
    return text


def _every(config: type[ServiceConfig], prefix: str) -> Iterator[Field]:
    """Yield every setting, in its order."""
    hints = typing.get_type_hints(config, include_extras=True)
    words = {**_words(ServiceConfig), **_words(config)}
    for field in msgspec.structs.fields(config):
        shared = next(iter(_variable(hints[field.name]).shared), None)
        yield Field(
            name=field.name,
            variable=shared or f"{prefix}_{field.name.upper()}",
            default=None if field.required else field.default,
            hint=_plain(hints[field.name]),
            words=" ".join(words[field.name].split()),
            is_shared=shared is not None,
            is_required=field.required,
        )


def _table(settings: Iterable[Field]) -> str:
    rows = [f"| `{one.variable}` | {_default(one)} | {one.words.replace('|', '&#124;')} |" for one in settings]
    return "\n".join(["| variable | default | meaning |", "| --- | --- | --- |", *rows]) + "\n"


def _default(field: Field) -> str:
    if field.is_required:
        return "required"
    text = written(field.default)
    return text if text == "-" else f"`{text}`"


def _words(config: type[Struct]) -> dict[str, str]:
    """Read the docstring below each field."""
    body = next(node for node in ast.walk(ast.parse(inspect.getsource(config))) if isinstance(node, ast.ClassDef))
    found: dict[str, str] = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            found[field.target.id] = str(ast.literal_eval(below.value))
    return found


def _names(config: type[Struct]) -> set[str]:
    return {field.name for field in msgspec.structs.fields(config)}


def _variable(hint: Any) -> Variable:
    for mark in getattr(hint, "__metadata__", ()):
        if isinstance(mark, Meta) and mark.extra and "variable" in mark.extra:
            return typing.cast("Variable", mark.extra["variable"])
    return Variable()


def _plain(hint: Any) -> Any:
    plain = hint.__origin__ if typing.get_origin(hint) is Annotated else hint
    if typing.get_origin(plain) in {UnionType, typing.Union}:
        return next(option for option in typing.get_args(plain) if option is not NoneType)
    return plain


def _prefix(service: Service | None, name: str) -> str:
    return service.prefix if service is not None else name.replace("-", "_").upper()
