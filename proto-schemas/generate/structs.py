"""Python: a frozen msgspec Struct for each message."""

from collections.abc import Iterable, Iterator
from textwrap import fill

from generate.contracts import TIMESTAMP, Field, File, Message
from generate.tools import run

LINE_LENGTH = 120
INDENT = "    "
HEADER = "# Generated from {source} by `python -m generate`; do not edit."
SCALARS = {"string": ("str", '""'), "bool": ("bool", "False"), "double": ("float", "0.0")}
INTEGERS = {"int32": "Int32", "uint32": "UInt32"}
REQUIRED = {"string": "NonEmpty", "uint32": "Positive"}


def render(files: tuple[File, ...]) -> dict[str, str]:
    """Return the modules of `shoal_events` that follow from the contracts, by their path in the package."""
    homes = {(file.version, message.name): file.name for file in files for message in file.messages}
    modules = {f"{file.version}/{file.name}.py": _module(file, homes) for file in files}
    for version in sorted({file.version for file in files}):
        own = [file for file in files if file.version == version]
        modules[f"{version}/__init__.py"] = _package(own, version)
    modules["__init__.py"] = _root([file for file in files if file.version == "v1"])
    modules["catalogue.py"] = _catalogue(files)
    return {path: _format(text) for path, text in sorted(modules.items())}


def _module(file: File, homes: dict[tuple[str, str], str]) -> str:
    blocks = [_struct(message) for message in _dependencies_first(file.messages)]
    body = "\n\n\n".join(blocks)
    imports = [*_imports(file, body, homes)]
    subject = file.name.replace("_", " ").capitalize()
    head = [HEADER.format(source=file.path), f'"""{subject}: the messages of `{file.path}`."""', "", *imports]
    return "\n".join([*head, "", "", body, ""])


def _imports(file: File, body: str, homes: dict[tuple[str, str], str]) -> Iterator[str]:
    if "ClassVar[" in body:
        yield "from typing import ClassVar\n"
    bases = [base for base in ("Event", "Message", "Part") if f"({base}, " in body]
    yield f"from shoal_events.message import {', '.join(bases)}"
    types = {type_ for message in file.messages for field in message.fields for type_ in [_name(field)]}
    known = sorted(types & {"Int32", "NonEmpty", "Positive", "Timestamp", "UInt32"})
    if known:
        yield f"from shoal_events.types import {', '.join(known)}"
    for name in sorted(types):
        home = homes.get((file.version, name), file.name)
        if home != file.name:
            yield f"from shoal_events.{file.version}.{home} import {name}"


def _struct(message: Message) -> str:
    base = "Event" if message.is_event else "Message" if message.address else "Part"
    lines = [
        f"class {message.name}({base}, frozen=True, kw_only=True, omit_defaults=True, gc=False):",
        *_docstring(message.doc),
        "",
        *_class_variables(message),
    ]
    for field in message.fields:
        lines += [f"    {field.name}: {_annotation(field)}", *_docstring(field.doc), ""]
    return "\n".join(lines).rstrip()


def _class_variables(message: Message) -> Iterator[str]:
    address = message.address
    if address is None:
        return
    is_event = address.event_type is not None
    values = {
        "stream": None if is_event else address.stream,
        "event_type": address.event_type,
        "source": f"/shoal/{address.producer}" if is_event else None,
        "producer": address.producer,
        "subject_prefix": address.subject_prefix,
        "entity": address.entity,
    }
    for name, value in values.items():
        if value is not None:
            yield f'    {name}: ClassVar[str] = "{value}"'
    yield ""


def _annotation(field: Field) -> str:
    """Return the field's type and, unless it is required, its default."""
    name = _name(field)
    if field.is_map:
        return f"dict[str, {name}]" + ("" if field.is_required else " = {}")
    if field.is_repeated:
        return f"tuple[{name}, ...]" + ("" if field.is_required else " = ()")
    if field.is_required:
        return name
    if field.is_optional:
        return f"{name} | None = None"
    return f"{name} = {SCALARS[field.type][1] if field.type in SCALARS else 0}"


def _name(field: Field) -> str:
    if field.local_type:
        return field.local_type
    if field.type == TIMESTAMP:
        return "Timestamp"
    is_single = not (field.is_map or field.is_repeated)
    if field.is_required and is_single and field.type in REQUIRED:
        return REQUIRED[field.type]
    return INTEGERS.get(field.type) or SCALARS[field.type][0]


def _docstring(doc: str) -> list[str]:
    def wrap(text: str) -> str:
        return fill(text, LINE_LENGTH, initial_indent=INDENT, subsequent_indent=INDENT)

    if len(f'{INDENT}"""{doc}"""') <= LINE_LENGTH:
        return [f'{INDENT}"""{doc}"""']
    first, _, rest = doc.partition(". ")
    if rest and len(f'{INDENT}"""{first}.') <= LINE_LENGTH:
        return [f'{INDENT}"""{first}.', "", wrap(rest), f'{INDENT}"""']
    return [wrap(f'"""{doc}'), f'{INDENT}"""']


def _dependencies_first(messages: Iterable[Message]) -> list[Message]:
    """Order messages so that each stands after those that it holds, and otherwise as in the file."""
    by_name = {message.name: message for message in messages}
    ordered: dict[str, Message] = {}

    def place(message: Message) -> None:
        for field in message.fields:
            if field.local_type in by_name and field.local_type not in ordered:
                place(by_name[field.local_type])
        ordered.setdefault(message.name, message)

    for message in by_name.values():
        place(message)
    return list(ordered.values())


def _package(files: list[File], version: str) -> str:
    names = sorted(message.name for file in files for message in file.messages)
    imports = [
        f"from shoal_events.{version}.{file.name} import {', '.join(sorted(m.name for m in file.messages))}"
        for file in files
    ]
    head = HEADER.format(source=f"shoal/events/{version}/")
    lines = [head, f'"""The messages of version {version[1:]}."""', "", *imports]
    return "\n".join([*lines, "", f"__all__ = {names!r}", ""])


def _root(files: list[File]) -> str:
    own = {
        "message": ["Event", "InvalidMessageError", "Message", "Part"],
        "subjects": ["InvalidTokenError"],
        "types": ["Timestamp"],
    }
    names = sorted([message.name for file in files for message in file.messages])
    exported = sorted([*names, *(name for group in own.values() for name in group)])
    lines = [
        HEADER.format(source="shoal/events/v1/"),
        '"""The contracts of Shoal\'s events as msgspec Structs."""',
        "",
        *(f"from shoal_events.{module} import {', '.join(group)}" for module, group in own.items()),
        f"from shoal_events.v1 import {', '.join(names)}",
        "",
        f"__all__ = {exported!r}",
    ]
    return "\n".join([*lines, ""])


def _catalogue(files: tuple[File, ...]) -> str:
    events = [(file.version, message) for file in files for message in file.messages if message.is_event]
    versions = sorted({version for version, _ in events})
    entries = [f"{version}.{message.name}" for version, message in events]
    lines = [
        HEADER.format(source="shoal/events/"),
        '"""Every event that there is."""',
        "",
        "from types import MappingProxyType",
        "",
        f"from shoal_events import {', '.join(versions)}",
        "from shoal_events.message import Event",
        "",
        f"EVENTS: tuple[type[Event], ...] = ({', '.join(entries)},)",
        '"""In the order of their files."""',
        "",
        "BY_TYPE = MappingProxyType({event.event_type: event for event in EVENTS})",
        '"""The same by `ce-type`."""',
    ]
    return "\n".join([*lines, ""])


def _format(text: str) -> str:
    options = ("--isolated", "--line-length", str(LINE_LENGTH))
    return run("ruff", "format", *options, "-", stdin=text.encode()).decode()
