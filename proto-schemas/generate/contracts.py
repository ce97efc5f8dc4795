"""The compiled `.proto` files as plain values."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generate.tools import run

PACKAGE = "shoal.events."
TIMESTAMP = ".google.protobuf.Timestamp"


@dataclass(frozen=True)
class Field:
    """A field of a message.

    `type` is protobuf's word (`string`, `uint32`, …) or, where that is `message`, the message's full name
    after a dot. A map has its values' type, and string keys.
    """

    name: str
    type: str
    doc: str
    is_repeated: bool
    is_map: bool
    is_optional: bool
    is_required: bool

    @property
    def local_type(self) -> str | None:
        """The name of the message that it holds, if that is one of ours."""
        return self.type.rpartition(".")[2] if self.type.startswith(f".{PACKAGE}") else None


@dataclass(frozen=True)
class Address:
    """Where a message is published."""

    stream: str
    subject_prefix: str
    entity: str
    producer: str
    event_type: str | None = None


@dataclass(frozen=True)
class Message:
    """A message, with its address if it is published by itself."""

    name: str
    doc: str
    fields: tuple[Field, ...]
    address: Address | None

    @property
    def is_event(self) -> bool:
        """Whether it is a fact of the stream EVENTS."""
        return self.address is not None and self.address.event_type is not None


@dataclass(frozen=True)
class File:
    """One `.proto` file with messages of its own."""

    path: str
    version: str
    messages: tuple[Message, ...]
    foreign: tuple[str, ...]
    """What stands in the file and has no rendering: enums, services, nested types, oneofs."""

    @property
    def name(self) -> str:
        """The file's name without folder and ending, such as `pairing`."""
        return Path(self.path).stem


def read(folder: Path) -> tuple[File, ...]:
    """Compile the contracts, which needs no network, and return their files in order of name.

    Raises:
        ToolFailedError: They do not compile.
    """
    image = json.loads(run("buf", "build", "-o", "-#format=json", folder=folder))
    ours = [file for file in image["file"] if file.get("package", "").startswith(PACKAGE)]
    files = (_file(file) for file in sorted(ours, key=lambda file: str(file["name"])))
    return tuple(file for file in files if file.name != "options")


def _file(raw: dict[str, Any]) -> File:
    comments = {
        tuple(location.get("path", ())): _prose(location["leadingComments"])
        for location in raw["sourceCodeInfo"]["location"]
        if "leadingComments" in location
    }
    version = raw["package"].removeprefix(PACKAGE)
    messages = raw.get("messageType", [])
    return File(
        path=raw["name"],
        version=version,
        messages=tuple(
            _message(message, version, lambda *path, index=index: comments.get((4, index, *path), ""))
            for index, message in enumerate(messages)
        ),
        foreign=(
            *(f"enum {enum['name']}" for enum in raw.get("enumType", [])),
            *(f"service {service['name']}" for service in raw.get("service", [])),
            *(name for message in messages for name in _foreign(message)),
        ),
    )


def _foreign(raw: dict[str, Any]) -> list[str]:
    """What stands in a message beside its fields and maps by string."""
    entries = _map_entries(raw)
    synthetic = {field["oneofIndex"] for field in raw.get("field", []) if field.get("proto3Optional")}
    found = [
        *(f"message {nested['name']}" for nested in raw.get("nestedType", []) if nested["name"] not in entries),
        *(f"enum {enum['name']}" for enum in raw.get("enumType", [])),
        *(f"oneof {o['name']}" for i, o in enumerate(raw.get("oneofDecl", [])) if i not in synthetic),
        *("map without string keys" for e in entries.values() if e["field"][0]["type"] != "TYPE_STRING"),
    ]
    return [f"{what} in {raw['name']}" for what in found]


def _map_entries(raw: dict[str, Any]) -> dict[str, Any]:
    """The messages that the compiler made for the message's maps: fields `key` and `value`."""
    return {n["name"]: n for n in raw.get("nestedType", []) if n.get("options", {}).get("mapEntry")}


def _message(raw: dict[str, Any], version: str, comment: Callable[..., str]) -> Message:
    entries = _map_entries(raw)
    return Message(
        name=raw["name"],
        doc=comment(),
        fields=tuple(_field(field, entries, comment(2, index)) for index, field in enumerate(raw.get("field", []))),
        address=_address(raw.get("options", {}), version),
    )


def _field(raw: dict[str, Any], entries: dict[str, Any], doc: str) -> Field:
    type_name = raw.get("typeName", "")
    entry = entries.get(type_name.rpartition(".")[2])
    value = entry["field"][1] if entry else raw
    type_ = value["type"].removeprefix("TYPE_").lower()
    return Field(
        name=raw["name"],
        type=value["typeName"] if type_ == "message" else type_,
        doc=doc,
        is_repeated=raw["label"] == "LABEL_REPEATED" and not entry,
        is_map=entry is not None,
        is_optional=raw.get("proto3Optional", type_ == "message" and raw["label"] == "LABEL_OPTIONAL"),
        is_required=_option(raw.get("options", {}), "required", default=False),
    )


def _address(options: dict[str, Any], version: str) -> Address | None:
    event = _option(options, "event", default=None)
    if event is not None:
        event_type = f"{event['fact']}.{version}"
        return Address("EVENTS", f"shoal.events.{event_type}", event["entity"], event["producer"], event_type)
    stream = _option(options, "stream", default=None)
    if stream is not None:
        return Address(stream["name"], stream["subject"], stream["entity"], stream["producer"])
    return None


def _option(options: dict[str, Any], name: str, *, default: Any) -> Any:
    return options.get(f"[{PACKAGE}v1.{name}]", default)


def _prose(comment: str) -> str:
    return " ".join(comment.split())
