"""What documents name is there."""

import re
from pathlib import Path

import capacity

ROOT = Path(__file__).parent.parent.parent
_TEST = re.compile(r"`(test_\w+)`")


def test_tests_that_documents_name_exist() -> None:
    folders = ("libs", "gateway", "services", "deploy", "tests-e2e", "proto-schemas")
    files = [file for folder in folders for file in (ROOT / folder).rglob("test_*.py")]
    known = {name for file in files for name in re.findall(r"def (test_\w+)\(", file.read_text())}
    known |= {file.stem for file in files}
    for name in ("security", "operations", "telemetry", "capacity"):
        named = _TEST.findall((ROOT / "docs" / f"{name}.md").read_text())
        assert not [test for test in named if test not in known and not test.startswith("test_edge")], name


def test_the_capacity_that_is_told_is_what_the_model_says() -> None:
    text = capacity.DOCUMENT.read_text()
    assert text == capacity.render(text), "run: python deploy/capacity.py"
