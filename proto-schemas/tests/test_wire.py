"""The JSON of the Structs is the JSON of the `.proto` files."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from shoal_events import (
    AgentOnline,
    Event,
    InvalidMessageError,
    InvalidTokenError,
    Message,
    PairingConfirmed,
    PairingRenamed,
    Sample,
    SampleMetrics,
    TelemetryBatch,
)
from shoal_events.catalogue import BY_TYPE, EVENTS
from shoal_events.subjects import live

FOLDER = Path(__file__).resolve().parents[1]
EXAMPLES = {path.stem: path.read_bytes() for path in sorted((FOLDER / "examples").glob("*.json"))}
STRUCTS: dict[str, type[Message]] = {**BY_TYPE, "telemetry.batch": TelemetryBatch}

everyone = pytest.mark.parametrize("name", sorted(STRUCTS))


@pytest.fixture(scope="session")
def pool() -> descriptor_pool.DescriptorPool:
    descriptors = descriptor_pb2.FileDescriptorSet.FromString((FOLDER / "shoal-events.binpb").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in descriptors.file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def through_protobuf(body: bytes, struct: type[Message], pool: descriptor_pool.DescriptorPool) -> Any:
    descriptor = pool.FindMessageTypeByName(f"shoal.events.v1.{struct.__name__}")
    message = json_format.Parse(body, message_factory.GetMessageClass(descriptor)())
    return json.loads(json_format.MessageToJson(message, preserving_proto_field_name=True))


def test_every_published_message_has_an_example() -> None:
    assert EXAMPLES.keys() == STRUCTS.keys()


@everyone
def test_protobuf_and_struct_read_and_write_the_example_alike(name: str, pool: descriptor_pool.DescriptorPool) -> None:
    struct, example = STRUCTS[name], EXAMPLES[name]
    written = struct.from_json(example).to_json()
    assert json.loads(written) == json.loads(example)
    assert through_protobuf(example, struct, pool) == json.loads(example)
    assert through_protobuf(written, struct, pool) == json.loads(written)


@everyone
def test_example_says_something_in_every_field(name: str) -> None:
    assert json.loads(EXAMPLES[name]).keys() == set(STRUCTS[name].__struct_fields__)


@everyone
def test_struct_ignores_fields_that_it_does_not_know(name: str) -> None:
    struct, example = STRUCTS[name], EXAMPLES[name]
    more = json.loads(example) | {"a_later_field": {"deep": [1]}}
    assert struct.from_json(json.dumps(more).encode()) == struct.from_json(example)


@everyone
def test_struct_reads_what_protobuf_writes_when_all_optional_fields_are_left_out(
    name: str, pool: descriptor_pool.DescriptorPool
) -> None:
    struct = STRUCTS[name]
    required = {field.encode_name for field in _fields(struct) if field.required}
    least = json.dumps({key: value for key, value in json.loads(EXAMPLES[name]).items() if key in required}).encode()
    assert json.loads(struct.from_json(least).to_json()) == json.loads(least)
    assert through_protobuf(least, struct, pool) == json.loads(least)


@everyone
def test_struct_refuses_a_missing_or_empty_required_field(name: str) -> None:
    struct, whole = STRUCTS[name], json.loads(EXAMPLES[name])
    for field in _fields(struct):
        if field.required:
            without = {key: value for key, value in whole.items() if key != field.name}
            empty = whole | {field.name: type(whole[field.name])()}
            for body in (without, empty):
                with pytest.raises(InvalidMessageError, match=field.name):
                    struct.from_json(json.dumps(body).encode())


def _fields(struct: type[Message]) -> Any:
    return msgspec.structs.fields(struct)


@pytest.mark.parametrize("event", EVENTS)
def test_subject_type_and_source_follow_from_the_fact(event: type[Event]) -> None:
    entity_id = json.loads(EXAMPLES[event.event_type])[event.entity]
    read = event.from_json(EXAMPLES[event.event_type])
    assert read.entity_id == entity_id
    assert read.subject == f"shoal.events.{event.event_type}.{entity_id}"
    assert event.source == f"/shoal/{event.producer}"
    assert event.stream == "EVENTS"


def test_batch_goes_to_the_subject_of_its_process() -> None:
    batch = TelemetryBatch.from_json(EXAMPLES["telemetry.batch"])
    assert (batch.stream, batch.subject) == ("TELEMETRY", "shoal.telemetry.batch.ingest_1")


@pytest.mark.parametrize("bad", ["", "a.b", "a*", ">", "a b", "ä", "x" * 65, "a\n"])
def test_id_that_can_not_stand_in_a_subject_is_refused(bad: str) -> None:
    with pytest.raises(InvalidTokenError):
        _ = PairingRenamed(pairing_id=bad, account_id="acc_1", version=1).subject
    with pytest.raises(InvalidTokenError):
        live("acc_1", bad, "metrics")


def test_event_that_breaks_its_contract_is_not_written() -> None:
    with pytest.raises(InvalidMessageError, match="account_id"):
        PairingRenamed(pairing_id="pair_1", account_id="", version=1).to_json()
    with pytest.raises(InvalidMessageError, match="version"):
        PairingRenamed(pairing_id="pair_1", account_id="acc_1", version=2**32).to_json()
    naive = datetime(2026, 1, 30)  # noqa: DTZ001
    with pytest.raises(InvalidMessageError, match="at"):
        AgentOnline(agent_id="agent_1", account_id="acc_1", epoch="e", at=naive).to_json()


def test_absent_and_zero_are_told_apart() -> None:
    at = datetime(2026, 1, 30, tzinfo=UTC)
    sample = Sample(seq=1, at=at, metrics=SampleMetrics(errors_total=0))
    assert msgspec.json.encode(sample) == b'{"seq":1,"at":"2026-01-30T00:00:00Z","metrics":{"errors_total":0}}'


def test_null_and_wrong_types_are_refused() -> None:
    whole = json.loads(EXAMPLES["pairing.confirmed.v1"])
    for bad in (
        {"name": None},
        {"version": "2"},
        {"confirmed_at": "yesterday"},
        {"confirmed_at": "2026-01-30T12:00:00"},
    ):
        with pytest.raises(InvalidMessageError):
            PairingConfirmed.from_json(json.dumps(whole | bad).encode())
    for body in (b"", b"[]", b"\xff"):
        with pytest.raises(InvalidMessageError):
            PairingConfirmed.from_json(body)
