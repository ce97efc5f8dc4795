"""The house rules are kept, and a broken one is named."""

import shutil
from pathlib import Path

import pytest
from generate import contracts, rules
from generate.tools import run

FOLDER = Path(__file__).resolve().parents[1]

HEAD = """\
syntax = "proto3";

package shoal.events.v1;

import "shoal/events/v1/options.proto";

"""


def broken_rules(folder: Path, text: str) -> list[str]:
    target = folder / "shoal/events/v1"
    target.mkdir(parents=True)
    shutil.copy(FOLDER / "buf.yaml", folder)
    shutil.copy(FOLDER / "shoal/events/v1/options.proto", target)
    (target / "tide.proto").write_text(HEAD + text)
    return list(rules.violations(contracts.read(folder)))


def test_contracts_keep_every_rule() -> None:
    assert list(rules.violations(contracts.read(FOLDER))) == []


def test_contracts_pass_buf_lint_and_are_formatted() -> None:
    run("buf", "lint", folder=FOLDER)
    run("buf", "format", "--diff", "--exit-code", folder=FOLDER)


@pytest.mark.parametrize(
    ("field", "complaint"),
    [
        ("int64 height = 2;", "int64"),
        ("uint64 height = 2;", "uint64"),
        ("fixed64 height = 2;", "fixed64"),
        ("float height = 2;", "float"),
        ("bytes height = 2;", "bytes"),
        ("repeated bytes height = 2;", "bytes"),
        ("map<string, int64> height = 2;", "int64"),
        ("map<int32, string> height = 2;", "map without string keys"),
        ("oneof height { string low = 2; }", "oneof height"),
        ("Moon height = 2; enum Moon { MOON_UNSPECIFIED = 0; }", "enum"),
        ("Moon height = 2; message Moon {}", "message Moon"),
        ("string tideHeight = 2;", "snake_case"),
        ("string class = 2;", "snake_case"),
        ("string subject = 2;", "has already"),
        ("bool height = 2 [(required) = true];", "can not be required"),
        ("repeated string height = 2 [(required) = true];", "can not be required"),
        ("optional string height = 2 [(required) = true];", "both optional and required"),
    ],
)
def test_field_that_no_rendering_has_is_named(tmp_path: Path, field: str, complaint: str) -> None:
    text = f"// A tide.\nmessage Tide {{\n  // Which.\n  string tide_id = 1;\n  // How.\n  {field}\n}}\n"
    assert complaint in " ".join(broken_rules(tmp_path, text))


@pytest.mark.parametrize(
    ("name", "fact", "entity", "complaint"),
    [
        ("TideTurned", "tide.turned", "harbour_id", "is not a required string field"),
        ("TideTurned", "tide.turned", "height", "is not a required string field"),
        ("TideTurns", "tide.turned", "tide_id", "its name should be TideTurned"),
        ("MoonRose", "moon.rose", "tide_id", "belongs into moon.proto"),
        ("TideTurned", "turned", "tide_id", "is not <domain>.<past tense>"),
    ],
)
def test_event_that_is_misnamed_is_named(tmp_path: Path, name: str, fact: str, entity: str, complaint: str) -> None:
    text = f"""\
// A tide turned.
message {name} {{
  option (event) = {{
    fact: "{fact}"
    entity: "{entity}"
    producer: "moon"
  }};
  // Which.
  string tide_id = 1 [(required) = true];
  // How high.
  string height = 2;
}}
"""
    assert complaint in " ".join(broken_rules(tmp_path, text))


def test_message_and_field_without_a_comment_are_named(tmp_path: Path) -> None:
    assert len(broken_rules(tmp_path, "message Tide {\n  string tide_id = 1;\n}\n")) == 2
