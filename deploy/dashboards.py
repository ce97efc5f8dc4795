"""Render Grafana's dashboards: rows of panels, each a title, a unit and a question to Prometheus.

Usage: python deploy/dashboards.py [--check].
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

FOLDER = Path(__file__).parent / "helm" / "shoal" / "files" / "dashboards"
WIDTH, PANEL, HEIGHT = 24, 8, 7
SLOW = "histogram_quantile(0.99, sum by (le, service) (rate({}_bucket[5m])))"


class Panel(Struct, frozen=True):
    """One chart."""

    title: str
    question: str
    unit: str = "short"
    legend: str = "{{service}}"


OVERVIEW: Sequence[Panel] = (
    Panel("Requests", "sum by (service) (rate(http_server_request_duration_seconds_count[1m]))", "reqps"),
    Panel("Failed requests", 'sum by (service) (rate(http_server_request_duration_seconds_count{status=~"5.."}[1m]))',
          "reqps"),
    Panel("Time to answer, p99", SLOW.format("http_server_request_duration_seconds"), "s"),
    Panel("WebSockets", "sum by (service) (http_server_sockets)"),
    Panel("Age of the outbox", "max by (service) (shoal_outbox_age_seconds)", "s"),
    Panel("Facts waiting", "max by (service) (shoal_outbox_pending)"),
    Panel("Facts published", "sum by (type) (rate(shoal_events_published_total[5m]))", "ops", "{{type}}"),
    Panel("Facts handled", "sum by (consumer, outcome) (rate(shoal_events_handled_total[5m]))", "ops",
          "{{consumer}} {{outcome}}"),
    Panel("Jobs that failed",
          'sum by (service, name) (increase(shoal_job_duration_seconds_count{outcome="failed"}[1h]))', "short",
          "{{service}} {{name}}"),
)  # fmt: skip
TELEMETRY: Sequence[Panel] = (
    Panel("Sockets", "sum by (kind) (shoal_telemetry_sockets)", "short", "{{kind}}"),
    Panel("Frames", "sum by (type, outcome) (rate(shoal_telemetry_frames_total[1m]))", "ops", "{{type}} {{outcome}}"),
    Panel("Sockets that we closed", "sum by (code) (increase(shoal_telemetry_socket_closings_total[5m]))", "short",
          "{{code}}"),
    Panel("Frame to acknowledgement, p99", SLOW.format("shoal_telemetry_publish_duration_seconds"), "s"),
    Panel("Samples in a batch, mean", "sum(rate(shoal_telemetry_batch_samples_sum[5m])) / "
          "sum(rate(shoal_telemetry_batch_samples_count[5m]))", "short", "samples"),
    Panel("Not acknowledged yet", "sum by (service) (shoal_telemetry_unacknowledged_bytes)", "bytes"),
    Panel("Paused sockets", "sum by (reason) (shoal_telemetry_paused_readers)", "short", "{{reason}}"),
    Panel("Live frames delivered", "sum(rate(shoal_telemetry_live_deliveries_total[1m]))", "ops", "delivered"),
    Panel("Live frames left out", "sum by (outcome) (rate(shoal_telemetry_live_conflated_total[1m]))", "ops",
          "{{outcome}}"),
    Panel("Samples counted", "sum by (outcome) (rate(shoal_samples_total[1m]))", "ops", "{{outcome}}"),
    Panel("Samples wait", "max(shoal_samples_lag_seconds)", "s", "oldest"),
    Panel("Batches waiting", "max(shoal_sample_batches_waiting)", "short", "batches"),
)  # fmt: skip
INSTANCES: Sequence[Panel] = (
    Panel("Not yet as they should be", "max(shoal_instances_unfinished)", "short", "instances"),
    Panel("The longest of them", "max(shoal_instances_unfinished_age_seconds)", "s", "age"),
    Panel("Tunnels", "sum by (state) (shoal_ssh_tunnels)", "short", "{{state}}"),
)


def main() -> None:
    """Write the dashboards, or tell which are not as they should be."""
    made = {f"{name}.json": render(name, panels) for name, panels in BOARDS.items()}
    stale = [name for name, text in made.items() if not (FOLDER / name).exists() or (FOLDER / name).read_text() != text]
    if "--check" in sys.argv and stale:
        sys.exit(f"shoal: {', '.join(stale)} is not what deploy/dashboards.py says\n  → run it")
    for name in stale:
        (FOLDER / name).write_text(made[name])


def render(name: str, panels: Sequence[Panel]) -> str:
    """Write one dashboard."""
    board = {
        "uid": f"shoal-{name}",
        "title": f"Shoal: {name}",
        "tags": ["shoal"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        # whichever Prometheus a Grafana has: the default, until another is chosen
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": [_panel(position, panel) for position, panel in enumerate(panels)],
    }
    return json.dumps(board, indent=1) + "\n"


def _panel(position: int, panel: Panel) -> dict[str, Any]:
    columns = WIDTH // PANEL
    return {
        "id": position + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "gridPos": {"x": position % columns * PANEL, "y": position // columns * HEIGHT, "w": PANEL, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [{"refId": "A", "expr": panel.question, "legendFormat": panel.legend}],
    }


BOARDS = {"overview": OVERVIEW, "telemetry": TELEMETRY, "instances": INSTANCES}

if __name__ == "__main__":
    main()
