"""What is told about metrics and logs is what there is."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import dashboards
import metrics
import yaml
from chart import CHART

ROOT = Path(__file__).parent.parent.parent
DOCUMENT = (ROOT / "docs" / "telemetry.md").read_text()
_NAME = re.compile(r"\b(?:shoal|http)_[a-z_0-9]+\b")
_SERIES = re.compile(r"_(?:bucket|sum|count)$")


def questions() -> Iterator[str]:
    rules = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    yield from (rule["expr"] for group in rules["groups"] for rule in group["rules"])
    for board in (CHART / "files" / "dashboards").glob("*.json"):
        yield from (target["expr"] for panel in json.loads(board.read_text())["panels"] for target in panel["targets"])


def test_the_registry_of_metrics_is_what_services_export() -> None:
    lines = [line for line in DOCUMENT.splitlines() if line.startswith(("| `shoal_", "| `http_"))]
    told = {tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in lines}
    made = {tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in metrics.table().splitlines()[2:]}
    assert {row for row in told if row[1] in {"histogram", "gauge", "counter"}} == made


def test_no_metric_means_two_things() -> None:
    names = [one.name for one in metrics.every_metric()]
    assert len(names) == len(set(names))


def test_no_label_is_one_that_prometheus_gives_a_target() -> None:
    """It would be renamed to `exported_…`, and nobody would find it."""
    given = {"job", "instance", "service", "namespace", "pod", "container", "endpoint", "node"}
    assert not [one.name for one in metrics.every_metric() if given & set(one.labels)]


def test_alerts_and_dashboards_ask_for_metrics_that_exist() -> None:
    known = {one.name: one for one in metrics.every_metric()}
    asked = list(questions())
    assert len(asked) > 25
    for question in asked:
        for name in _NAME.findall(question):
            base = name if name in known else _SERIES.sub("", name)
            assert base in known, f"{name} in: {question}"


def test_alerts_and_dashboards_ask_for_labels_that_exist() -> None:
    known = {one.name: set(one.labels) for one in metrics.every_metric()}
    for question in questions():
        for name, inside in re.findall(r"\b((?:shoal|http)_[a-z_0-9]+)\{([^}]*)\}", question):
            labels = known.get(name, known.get(_SERIES.sub("", name)))
            assert labels is not None
            assert {part.split("=")[0].strip("~!") for part in inside.split(",")} <= labels, question


def test_dashboards_are_rendered() -> None:
    for name, panels in dashboards.BOARDS.items():
        file = CHART / "files" / "dashboards" / f"{name}.json"
        assert file.read_text() == dashboards.render(name, panels), "run: python deploy/dashboards.py"


def test_every_alert_says_what_to_do() -> None:
    handbook = (ROOT / "docs" / "operations.md").read_text()
    rules = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert {"summary", "description"} <= rule["annotations"].keys()
        assert f"`{rule['alert']}`" in handbook, rule["alert"]


def test_log_events_that_are_told_are_written_somewhere() -> None:
    source = "".join(
        file.read_text()
        for folder in ("libs", "gateway", "services")
        for file in (ROOT / folder).rglob("*.py")
        if "tests" not in file.parts
    )
    table = DOCUMENT.partition("| event | level |")[2].partition("\n## ")[0]
    events = {
        name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.partition("| ")[2].split("|")[0])
    }
    assert {"http_request", "message_dead", "job_failed"} <= events
    assert not [event for event in events if f'"{event}"' not in source]
