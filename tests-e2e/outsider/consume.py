"""Read every stored event the way a stranger would: NATS, protobuf, and nothing of ours but the descriptors.

    python consume.py --url nats://consumer:<password>@localhost:4222

Signs in as a user who may only read, checks each event of the stream EVENTS against its protobuf message,
prints how many there were of each type, and proves that publishing is refused. Ends with 1 if one fails.
"""

import argparse
import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import nats
import nats.errors
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from nats.aio.client import Client

DESCRIPTORS = Path(__file__).resolve().parents[2] / "proto-schemas/shoal-events.binpb"
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
FORBIDDEN = (
    "shoal.events.outsider.tried.v1.proof",
    "shoal.telemetry.batch.proof",
    "shoal.live.proof.proof.status",
    "$JS.API.STREAM.DELETE.PROOF",
    "$JS.API.STREAM.PURGE.EVENTS",
)


@dataclass(frozen=True)
class Contract:
    """One event as its `.proto` file describes it."""

    message: type[Any]
    entity: str
    source: str
    required: tuple[str, ...]

    def complaints(self, body: bytes, entity_id: str) -> list[str]:
        """Say what is wrong with an event's body."""
        try:
            event = json_format.Parse(body, self.message())
        except json_format.ParseError as error:
            return [f"body: {error}"]
        unnamed = json.loads(body).keys() - self.message.DESCRIPTOR.fields_by_name.keys()
        present = {field.name for field, _ in event.ListFields()}
        return [
            *(f"{name} is not the name of a field" for name in sorted(unnamed)),
            *(f"{name} is required" for name in self.required if name not in present),
            *([f"{self.entity} is not {entity_id}"] if getattr(event, self.entity) != entity_id else []),
        ]


def contracts(descriptors: bytes) -> dict[str, Contract]:
    """Read what events there are, by `ce-type`, from a compiled descriptor set."""
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet.FromString(descriptors).file
    for file in files:
        pool.AddSerializedFile(file.SerializeToString())
    message_factory.GetMessageClassesForFiles([file.name for file in files], pool)  # makes the options known
    event, required = (pool.FindExtensionByName(f"shoal.events.v1.{name}") for name in ("event", "required"))

    def option(descriptor: Any, kind: str, extension: Any) -> Any:
        options = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"google.protobuf.{kind}"))
        read = options.FromString(descriptor.GetOptions().SerializeToString())
        return read.Extensions[extension] if read.HasExtension(extension) else None

    found = {}
    for file in files:
        for descriptor in pool.FindFileByName(file.name).message_types_by_name.values():
            address = option(descriptor, "MessageOptions", event)
            if address is not None:
                found[f"{address.fact}.{file.package.rpartition('.')[2]}"] = Contract(
                    message=message_factory.GetMessageClass(descriptor),
                    entity=address.entity,
                    source=f"/shoal/{address.producer}",
                    required=tuple(f.name for f in descriptor.fields if option(f, "FieldOptions", required)),
                )
    return found


def complaints(subject: str, headers: Mapping[str, str], body: bytes, known: Mapping[str, Contract]) -> list[str]:
    """Say what is wrong with a stored message; nothing if all is right."""
    event_type, _, entity_id = subject.removeprefix("shoal.events.").rpartition(".")
    contract = known.get(event_type)
    if contract is None:
        return [f"no contract describes {event_type}"]
    expected = {
        "ce-specversion": "1.0",
        "ce-type": event_type,
        "ce-source": contract.source,
        "ce-id": headers.get("Nats-Msg-Id") or "the Nats-Msg-Id",
    }
    return [
        *(
            f"{name} is {headers.get(name)}, not {value}"
            for name, value in expected.items()
            if headers.get(name) != value
        ),
        *([] if is_moment(headers.get("ce-time", "")) else ["ce-time is not an RFC 3339 time"]),
        *([] if TRACEPARENT.fullmatch(headers.get("traceparent", f"00-{1:032x}-{1:016x}-00")) else ["traceparent"]),
        *([] if TOKEN.fullmatch(entity_id) else ["the subject's last token is not an id"]),
        *contract.complaints(body, entity_id),
    ]


def is_moment(text: str) -> bool:
    """Whether a text is a date and a time with an offset."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None and "T" in text
    except ValueError:
        return False


async def read_all(client: Client, known: Mapping[str, Contract], until_idle: float) -> tuple[Counter[str], list[str]]:
    """Read the stream until nothing came for a while; count the events, and collect what is wrong."""
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    left = 0
    events = await client.jetstream().subscribe("shoal.events.>", stream="EVENTS", ordered_consumer=True)
    while True:
        try:
            message = await events.next_msg(timeout=until_idle)
        except nats.errors.TimeoutError:
            break
        left = message.metadata.num_pending
        headers = message.headers or {}
        counts[headers.get("ce-type", "without a type")] += 1
        sequence = message.metadata.sequence.stream
        found = complaints(message.subject, headers, message.data, known)
        wrong += [f"{message.subject} (sequence {sequence}): {what}" for what in found]
    return counts, [*wrong, *([f"{left} events were not delivered"] if left else [])]


async def refusals(client: Client, errors: list[str]) -> list[str]:
    """Try to publish where a reader must not; say where that was not refused."""
    for subject in FORBIDDEN:
        await client.publish(subject, b"{}")
    await client.flush()  # the server has answered all of them before it answers this
    for _ in range(100):
        missing = [s for s in FORBIDDEN if not any(f'publish to "{s.lower()}"' in error for error in errors)]
        if not missing:
            break
        await asyncio.sleep(0.01)
    return [f"publishing to {subject} was not refused" for subject in missing]


async def main(arguments: argparse.Namespace) -> int:
    """Return 0 if every event is right and nothing could be published, else 1."""
    errors: list[str] = []

    async def remember(error: Exception) -> None:
        errors.append(str(error).lower())

    known = contracts(arguments.descriptors.read_bytes())
    client = await nats.connect(arguments.url, inbox_prefix="_INBOX.consumer", error_cb=remember)
    try:
        counts, wrong = await read_all(client, known, arguments.until_idle)
        wrong += await refusals(client, errors)
    finally:
        await client.close()
    for event_type, count in sorted(counts.items()):
        print(f"{count:8}  {event_type}")
    print(f"{counts.total():8}  events of {len(counts)} types, {len(wrong)} complaints")
    for what in wrong:
        print(what, file=sys.stderr)
    return bool(wrong)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="nats://consumer:<password>@<host>:<port>")
    parser.add_argument("--until-idle", type=float, default=2.0, metavar="SECONDS", help="stop after that much silence")
    parser.add_argument("--descriptors", type=Path, default=DESCRIPTORS, help="the compiled contracts")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(parse())))
