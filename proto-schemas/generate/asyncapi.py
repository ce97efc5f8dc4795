"""`asyncapi.yaml`: every subject and every frame, for people and tools of any language."""

from collections.abc import Iterator
from typing import Any

import yaml

from generate import schemas
from generate.contracts import Address, File, Message

HEADER = "# Generated from shoal/events/ and frames.yaml by `python -m generate`; do not edit.\n"


def render(files: tuple[File, ...], frames: str) -> str:
    """Return the AsyncAPI 3.0 document of the messages, with the hand-written fragment merged into it."""
    document = {
        "asyncapi": "3.0.0",
        "info": {},
        "servers": {},
        "channels": {_key(address): _channel(m, address, v) for v, m, address in _published(files)},
        "operations": {f"send.{_key(address)}": _operation(address) for _, _, address in _published(files)},
        "components": {
            "messages": {schemas.component(v, m.name): _message(m, a, v) for v, m, a in _published(files)},
            "schemas": schemas.render(files),
        },
    }
    merged = _merge(document, yaml.safe_load(frames))
    text = yaml.dump(merged, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return f"{HEADER}{text}"


def _published(files: tuple[File, ...]) -> Iterator[tuple[str, Message, Address]]:
    for file in files:
        for message in file.messages:
            if message.address:
                yield file.version, message, message.address


def _key(address: Address) -> str:
    return address.event_type or address.subject_prefix.removeprefix("shoal.")


def _channel(message: Message, address: Address, version: str) -> dict[str, Any]:
    name = schemas.component(version, message.name)
    entity = next(field for field in message.fields if field.name == address.entity)
    return {
        "address": f"{address.subject_prefix}.{{{address.entity}}}",
        "summary": f"Stored in the stream {address.stream}.",
        "servers": [{"$ref": "#/servers/nats"}],
        "parameters": {address.entity: {"description": entity.doc}},
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
    }


def _operation(address: Address) -> dict[str, Any]:
    return {
        "action": "send",
        "summary": f"Published by {address.producer}.",
        "channel": {"$ref": f"#/channels/{_key(address)}"},
        "tags": [{"name": address.producer}],
    }


def _message(message: Message, address: Address, version: str) -> dict[str, Any]:
    event = {
        "name": address.event_type,
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
    }
    return {
        **(event if address.event_type else {}),
        "summary": message.doc.partition(". ")[0].removesuffix(".") + ".",
        "payload": {"$ref": f"#/components/schemas/{schemas.component(version, message.name)}"},
    }


def _merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Add one tree to another; where both have a value that is no mapping, the second's stands."""
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Writes prose of several lines as a block, and repeats values instead of naming them."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return True: a reader should not have to look up `*id001`."""
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
