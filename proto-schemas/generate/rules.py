"""The house rules that `buf lint` does not know."""

import keyword
import re
from collections.abc import Iterator

from generate.contracts import PACKAGE, TIMESTAMP, Address, Field, File, Message

SCALARS = {"string", "bool", "double", "int32", "uint32"}
REQUIRABLE = {"string", "uint32", "message"}
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
FACT = re.compile(rf"{SNAKE.pattern}\.{SNAKE.pattern}")
TAKEN = {
    *("stream", "producer", "subject_prefix", "entity", "entity_id", "subject", "event_type", "source"),
    *("to_json", "from_json"),
}
"""The names that every Struct has already."""


def violations(files: tuple[File, ...]) -> Iterator[str]:
    """Say where the contracts break a rule; nothing when they keep all."""
    for file in files:
        yield from (f"{file.path}: {what}: has no rendering; write fields of its own" for what in file.foreign)
        for message in file.messages:
            yield from (f"{file.path}: {message.name}: {what}" for what in _of_message(message, file))


def _of_message(message: Message, file: File) -> Iterator[str]:
    if not message.doc:
        yield "has no comment"
    if message.address:
        yield from _of_address(message, message.address, file)
    for field in message.fields:
        yield from (f"{field.name}: {what}" for what in _of_field(field, file))


def _of_address(message: Message, address: Address, file: File) -> Iterator[str]:
    entity = next((field for field in message.fields if field.name == address.entity), None)
    if entity is None or entity.type != "string" or not entity.is_required or entity.is_repeated:
        yield f"its entity {address.entity!r} is not a required string field"
    if not re.fullmatch(r"[a-z]+(-[a-z]+)*", address.producer):
        yield f"its producer {address.producer!r} is not the name of a service"
    if address.event_type is None:
        return
    fact = address.event_type.rpartition(".")[0]
    domain, _, happened = fact.partition(".")
    if not FACT.fullmatch(fact):
        yield f"its fact {fact!r} is not <domain>.<past tense>"
    elif domain != file.name:
        yield f"its fact {fact!r} belongs into {domain}.proto"
    elif message.name != _camel(domain) + _camel(happened):
        yield f"its name should be {_camel(domain) + _camel(happened)}, as its fact is {fact!r}"


def _of_field(field: Field, file: File) -> Iterator[str]:
    kind = "message" if field.type.startswith(".") else field.type
    if kind == "message" and field.type != TIMESTAMP and not field.type.startswith(f".{PACKAGE}{file.version}."):
        yield f"{field.type.removeprefix('.')} is neither a message of this version nor a Timestamp"
    if kind not in SCALARS | {"message"}:
        yield f"{kind} does not read the same in every language's JSON; use {', '.join(sorted(SCALARS))}"
    if not field.doc:
        yield "has no comment"
    if not SNAKE.fullmatch(field.name) or keyword.iskeyword(field.name):
        yield "is not a snake_case name"
    if field.name in TAKEN:
        yield "has a name that every message has already"
    if field.is_required and (kind not in REQUIRABLE or field.is_repeated or field.is_map):
        yield f"can not be required: only a single {', '.join(sorted(REQUIRABLE))} can"
    if field.is_required and field.is_optional and kind != "message":
        yield "is both optional and required"


def _camel(snake: str) -> str:
    return "".join(word.capitalize() for word in snake.split("_"))
