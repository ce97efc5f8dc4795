"""Prometheus itself, where it is installed: what it makes of our configuration, rules and questions.

Debian's package `prometheus` has both programs; SHOAL_PROMETHEUS names another folder that holds them.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import dashboards
import httpx
import metrics
import pytest
import yaml
from chart import CHART, MATRIX, named, render
from stack import Stack, running
from stack.sockets import metrics_frame
from websockets.asyncio.client import connect
from websockets.typing import Origin

from shoal.testing.suite import eventually
from shoal_embedded.ports import free_port

HERE = Path(__file__).parent
COMPOSE = HERE.parent / "compose"
RULES = CHART / "files" / "alerts.yaml"
QUIET = {
    "Failed requests", "Jobs that failed", "Sockets that we closed", "Live frames left out", "Paused sockets",
}  # fmt: skip
"""Panels of what does not happen to a suite that is well."""
UNHAPPY = {"shoal_telemetry_socket_closings_total", "shoal_telemetry_live_conflated_total",
           "shoal_runtime_socket_closings_total", "shoal_telemetry_paused_readers"}  # fmt: skip
"""Metrics that have no series until something goes wrong."""


def program(name: str) -> str:
    """Find one of Prometheus' programs; without it the test says loudly that it did not run."""
    found = shutil.which(name, path=os.environ.get("SHOAL_PROMETHEUS") or os.environ["PATH"])
    if found is None:
        pytest.skip(f"PROMETHEUS WAS NOT ASKED: {name} is neither on the path nor in SHOAL_PROMETHEUS")
    return found


def promtool(*arguments: str | Path) -> str:
    """Run promtool; it must be content."""
    run = subprocess.run([program("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_prometheus_takes_our_rules_and_configurations(tmp_path: Path) -> None:
    assert "12 rules found" in promtool("check", "rules", RULES)
    for lint in ("duplicate-rules", "none"):
        promtool("check", "rules", "--lint-fatal", f"--lint={lint}", RULES)
    written = configuration(tmp_path, {})
    promtool("check", "config", written)


def test_prometheus_takes_the_rules_that_the_chart_makes(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(named(render(MATRIX["everything on"]), "ConfigMap", "shoal-alerts")["data"]["shoal.yaml"])
    assert "12 rules found" in promtool("check", "rules", "--lint-fatal", rules)


def test_each_alert_fires_when_it_should_and_none_when_all_is_well() -> None:
    played = yaml.safe_load((HERE / "alerts.yaml").read_text())["tests"]
    known = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
    silent = {one["alertname"] for one in played[0]["alert_rule_test"]}
    fired = {one["alertname"] for case in played[1:] for one in case["alert_rule_test"] if one.get("exp_alerts")}
    assert (silent, fired) == (known, known)
    promtool("test", "rules", HERE / "alerts.yaml")


def configuration(folder: Path, places: dict[str, str]) -> Path:
    """Write the configuration of compose, with addresses of this machine, and scraping without leisure."""
    told = yaml.safe_load((COMPOSE / "prometheus.yaml").read_text())
    told["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
    told["rule_files"] = [str(RULES)]
    for target in told["scrape_configs"][0]["static_configs"]:
        target["targets"] = [places.get(target["labels"]["service"], target["targets"][0])]
    written = folder / "prometheus.yaml"
    written.write_text(yaml.safe_dump(told))
    return written


@contextlib.asynccontextmanager
async def prometheus(folder: Path, stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """Run Prometheus in front of a suite while the block runs."""
    places = {name: stack.direct_url(name).removeprefix("http://") for name in stack.suite.services}
    address = f"127.0.0.1:{free_port()}"
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program("prometheus"), f"--config.file={configuration(folder, places)}",
            f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={address}", stdout=log, stderr=log,
        )  # fmt: skip
        try:
            async with httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as client:
                yield client
        finally:
            process.terminate()
            await process.wait()


async def answer(client: httpx.AsyncClient, question: str) -> list[Any]:
    """Ask; the answer's series."""
    said = (await client.get("/api/v1/query", params={"query": question})).json()
    assert said["status"] == "success", f"{question}: {said}"
    found: list[Any] = said["data"]["result"]
    return found


async def live(stack: Stack) -> None:
    """Give every part of the suite something to tell of."""
    client = stack.admin.client
    agent = await stack.admin.pair()
    made = await client.post("/api/v1/instances", json={"display_name": "Watched"})
    url = f"/api/v1/instances/{made.json()['id']}/tunnels"
    page = connect(f"ws{stack.url.removeprefix('http')}/ws", additional_headers={"Cookie": stack.admin.cookie},
                   origin=Origin(stack.url))  # fmt: skip
    async with page, stack.admin.watch() as viewer, agent.connect(epoch="e1") as socket:
        for number in range(1, 20):
            await socket.send(metrics_frame(agent.agent_id, seq=number))
        await viewer.until_heard("metrics")

        async def are_open() -> bool:
            return [one["status"] for one in (await client.get(url)).json()["tunnels"]] == ["active", "active"]

        await eventually(are_open, within_s=30)
        await asyncio.Event().wait()


@pytest.mark.timeout(120)
async def test_every_question_has_an_answer_from_a_suite_that_is_watched(tmp_path: Path) -> None:
    program("prometheus")
    async with running(tmp_path / "suite") as stack, prometheus(tmp_path, stack) as client:
        await stack.until_ready()
        living = asyncio.ensure_future(live(stack))
        unanswered = {one.name for one in await asyncio.to_thread(metrics.every_metric)} - UNHAPPY

        async def are_told() -> bool:
            found = await answer(client, '{job="shoal"}')
            told = {one["metric"]["__name__"] for one in found}
            for name in list(unanswered):
                if {name, f"{name}_count"} & told:
                    unanswered.discard(name)
            return not unanswered

        await eventually(are_told, lambda: unanswered, within_s=60)
        panels = {panel.title: panel for board in dashboards.BOARDS.values() for panel in board}
        silent = {title for title, panel in panels.items() if not await answer(client, panel.question)}
        assert silent <= QUIET
        rules = (await client.get("/api/v1/rules")).json()["data"]["groups"][0]["rules"]
        assert [one["name"] for one in rules if one["health"] != "ok" or one["state"] == "firing"] == []
        up = await answer(client, 'up{job="shoal"}')
        assert {one["metric"]["service"]: one["value"][1] for one in up} == dict.fromkeys(stack.suite.services, "1")
        living.cancel()
