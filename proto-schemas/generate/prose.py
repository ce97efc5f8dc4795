"""`docs/events.md`: what is published, for people."""

from collections.abc import Iterator

from generate.contracts import TIMESTAMP, Field, File, Message

INTRODUCTION = """\
<!-- Generated from proto-schemas/shoal/events/ by `python -m generate`; do not edit. -->
# Events

Every fact that one part of Shoal tells the others. Anyone may listen: the NATS user `consumer` reads all of
it and can publish nothing. The source of this page is `proto-schemas/shoal/events/`;
`proto-schemas/asyncapi.yaml` says the same to tools, `proto-schemas/shoal-events.binpb` to protobuf
libraries, and `tests-e2e/outsider/consume.py` is a consumer that shares no code with us.

- The subject is `shoal.events.<domain>.<fact>.v1.<entity id>`: `shoal.events.pairing.>` is all that happens
  to pairings.
- The body is JSON: proto3's mapping with the names below. An omitted field has its default (empty, 0,
  false), or is absent where it is marked `?`. Ignore fields that you do not know: new ones may come.
- The headers are CloudEvents 1.0: `ce-specversion`, `ce-id`, `ce-type` (`pairing.confirmed.v1`),
  `ce-source` (`/shoal/pairing`) and `ce-time`, beside `Nats-Msg-Id`, which equals `ce-id`, and
  `traceparent`.
- An event may arrive more than once: it is the same one if its `ce-id` is the same. Events of one entity
  arrive in order; where they carry a `version`, keep only what is newer than what you have.
- Times are RFC 3339 in UTC, money is a decimal string, an id matches `^[A-Za-z0-9_-]{1,64}$`. Words such as
  reasons and roles are open sets: treat one that you do not know as some other.
"""

LIVE = """\
## Live frames

`shoal.live.<account id>.<agent id>.<type>` carries each telemetry frame as it arrives, in the JSON of the
telemetry socket (`metrics`, `skills`, `status`, `error`). It is core NATS: nothing is stored, and who is not
listening misses it.
"""

WORDS = {TIMESTAMP: "time", "uint32": "integer", "int32": "integer", "double": "number", "bool": "boolean"}


def render(files: tuple[File, ...]) -> str:
    """Return the page."""
    events = [message for file in files for message in file.messages if message.is_event]
    domains = [file for file in files if any(message.is_event for message in file.messages)]
    others = [file for file in files if file not in domains]
    return "\n".join(
        [
            INTRODUCTION,
            "## All events",
            "",
            "| subject | producer | meaning | fields |",
            "| --- | --- | --- | --- |",
            *(_row(message) for message in events),
            "",
            *(line for file in domains for line in _section(file)),
            *(line for file in others for line in _section(file)),
            LIVE.rstrip(),
            "",
        ]
    )


def _row(message: Message) -> str:
    address = message.address
    assert address is not None  # noqa: S101 - events have one
    subject = f"`{address.subject_prefix.removeprefix('shoal.events.')}.<{address.entity}>`"
    fields = ", ".join(f"{field.name}{_mark(field)}" for field in message.fields)
    return f"| {subject} | {address.producer} | {_first_sentence(message.doc)} | {fields} |"


def _section(file: File) -> Iterator[str]:
    yield f"## {file.name.replace('_', ' ').capitalize()}" + ("" if file.version == "v1" else f" {file.version}")
    yield ""
    for message in file.messages:
        yield from _message(message)


def _message(message: Message) -> Iterator[str]:
    yield f"### {message.name}"
    yield ""
    yield message.doc
    yield ""
    if message.address:
        address = message.address
        yield (
            f"Subject `{address.subject_prefix}.<{address.entity}>`, stream `{address.stream}`, "
            f"published by {address.producer}."
        )
        yield ""
    yield "| field | type | meaning |"
    yield "| --- | --- | --- |"
    for field in message.fields:
        yield f"| `{field.name}`{_mark(field)} | {_type(field)} | {field.doc} |"
    yield ""


def _mark(field: Field) -> str:
    return "?" if field.is_optional and not field.is_required else ""


def _type(field: Field) -> str:
    word = field.local_type or WORDS.get(field.type, field.type)
    if field.is_map:
        return f"map of {word}"
    return f"list of {word}" if field.is_repeated else word


def _first_sentence(prose: str) -> str:
    return prose.partition(". ")[0].removesuffix(".") + "."
