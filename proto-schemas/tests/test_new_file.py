"""Adding a `.proto` file is all that it takes to add events."""

import shutil
from pathlib import Path

import pytest
import yaml
from generate import asyncapi, contracts, prose, rules, structs

FOLDER = Path(__file__).resolve().parents[1]

TIDE = """\
syntax = "proto3";

package shoal.events.VERSION;

import "google/protobuf/timestamp.proto";
import "shoal/events/v1/options.proto";

// The tide turned. It will turn again, and what follows is long enough that it must be broken somewhere.
message TideTurned {
  option (shoal.events.v1.event) = {
    fact: "tide.turned"
    entity: "tide_id"
    producer: "moon"
  };

  // Which tide.
  string tide_id = 1 [(shoal.events.v1.required) = true];
  // Every kind of field.
  Water water = 2 [(shoal.events.v1.required) = true];
  // By harbour.
  map<string, Water> harbours = 3;
  // By hour.
  repeated int32 hours = 4;
  // Whether it is a spring tide.
  bool is_spring = 5;
  // How high.
  optional double height = 6;
  // When.
  repeated google.protobuf.Timestamp at = 7;
}

// Some water.
message Water {
  // How much.
  uint32 drops = 1;
}
"""


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_new_file_is_rendered_everywhere(tmp_path: Path, version: str) -> None:
    shutil.copy(FOLDER / "buf.yaml", tmp_path)
    shutil.copytree(FOLDER / "shoal", tmp_path / "shoal")
    (tmp_path / f"shoal/events/{version}").mkdir(exist_ok=True)
    (tmp_path / f"shoal/events/{version}/tide.proto").write_text(TIDE.replace("VERSION", version))
    files = contracts.read(tmp_path)
    assert list(rules.violations(files)) == []

    modules = structs.render(files)
    for text in modules.values():
        compile(text, "rendered", "exec")
    tide = modules[f"{version}/tide.py"]
    assert f'event_type: ClassVar[str] = "tide.turned.{version}"' in tide
    assert tide.index("class Water(Part") < tide.index("class TideTurned(Event")
    for line in (
        "tide_id: NonEmpty",
        "water: Water",
        "harbours: dict[str, Water] = {}",
        "hours: tuple[Int32, ...] = ()",
        "is_spring: bool = False",
        "height: float | None = None",
        "at: tuple[Timestamp, ...] = ()",
        "drops: UInt32 = 0",
    ):
        assert f"    {line}\n" in tide
    assert f"{version}.TideTurned," in modules["catalogue.py"]
    assert ("TideTurned" in modules["__init__.py"]) == (version == "v1")

    document = yaml.safe_load(asyncapi.render(files, (FOLDER / "frames.yaml").read_text()))
    address = f"shoal.events.tide.turned.{version}.{{tide_id}}"
    assert document["channels"][f"tide.turned.{version}"]["address"] == address
    assert f"| `tide.turned.{version}.<tide_id>` | moon | The tide turned. |" in prose.render(files)
