"""What is committed is what the contracts render to, and it is sound."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from generate import __main__ as generator, contracts

from shoal_events.catalogue import BY_TYPE, EVENTS

FOLDER = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def document() -> Any:
    return yaml.safe_load((FOLDER / "asyncapi.yaml").read_text())


def values(tree: Any, key: str) -> Iterator[Any]:
    if isinstance(tree, dict):
        if key in tree:
            yield tree[key]
        for value in tree.values():
            yield from values(value, key)
    elif isinstance(tree, list):
        for value in tree:
            yield from values(value, key)


def resolve(document: Any, reference: str) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document


def validate(instance: Any, schema: str, document: Any) -> None:
    jsonschema.validate(
        instance,
        {"$ref": f"#/components/schemas/{schema}", "components": document["components"]},
        cls=jsonschema.Draft202012Validator,
        format_checker=jsonschema.FormatChecker(),
    )


def test_check_finds_nothing_to_change() -> None:
    command = [sys.executable, "-m", "generate", "--check"]
    done = subprocess.run(command, cwd=FOLDER, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_check_shows_a_diff_when_a_committed_file_was_edited() -> None:
    derived = generator.render(contracts.read(FOLDER))
    path = generator.PYTHON / "v1/pairing.py"
    edited = derived | {path: derived[path].replace(b"PairingConfirmed", b"PairingAffirmed")}
    shown = "".join(generator.differences(edited))
    assert "-class PairingConfirmed(Event" in shown
    assert "+class PairingAffirmed(Event" in shown


def test_check_names_a_module_whose_source_is_gone() -> None:
    derived = generator.render(contracts.read(FOLDER))
    del derived[generator.PYTHON / "v1/login.py"]
    assert "v1/login.py: nothing is the source" in "".join(generator.differences(derived))


def test_rendering_is_deterministic() -> None:
    files = contracts.read(FOLDER)
    assert generator.render(files) == generator.render(files)


def test_every_reference_in_asyncapi_leads_somewhere(document: Any) -> None:
    references = list(values(document, "$ref"))
    assert references
    for reference in references:
        assert resolve(document, reference)


def test_every_event_has_a_channel_with_its_subject(document: Any) -> None:
    for event in EVENTS:
        channel = document["channels"][event.event_type]
        assert channel["address"] == f"{event.subject_prefix}.{{{event.entity}}}"
        assert channel["parameters"].keys() == {event.entity}
        assert document["operations"][f"send.{event.event_type}"]["tags"] == [{"name": event.producer}]


@pytest.mark.parametrize("path", sorted((FOLDER / "examples").glob("*.json")), ids=lambda path: path.stem)
def test_example_satisfies_its_schema(path: Path, document: Any) -> None:
    schema = BY_TYPE[path.stem].__name__ if path.stem in BY_TYPE else "TelemetryBatch"
    validate(json.loads(path.read_text()), schema, document)
    with pytest.raises(jsonschema.ValidationError):
        validate({}, schema, document)


def test_frames_of_the_contract_satisfy_their_schemas(document: Any) -> None:
    schemas = document["components"]["schemas"]
    frames = {name: schema["examples"] for name, schema in schemas.items() if "examples" in schema}
    assert len(frames) == 16
    for name, examples in frames.items():
        for example in examples:
            validate(example, name, document)


def test_socket_channel_says_who_sends_each_frame(document: Any) -> None:
    frames = set(document["channels"]["telemetry"]["messages"])
    said = {
        name: {reference["$ref"].rpartition("/")[2] for reference in document["operations"][name]["messages"]}
        for name in ("receive.telemetry", "send.telemetry")
    }
    assert said["receive.telemetry"] | said["send.telemetry"] == frames
    assert said["receive.telemetry"] & said["send.telemetry"] == {"metrics", "skills", "status", "error"}


def test_page_lists_every_event() -> None:
    page = (FOLDER.parent / "docs/events.md").read_text()
    for event in EVENTS:
        assert f"| `{event.event_type}.<{event.entity}>` | {event.producer} |" in page
