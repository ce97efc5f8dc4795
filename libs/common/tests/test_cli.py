"""The command says what is wrong in words, and its exit code says that something is."""

import importlib.metadata
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import structlog
from click.testing import Result
from typer.testing import CliRunner

from shoal.cli import app
from shoal.config import ConfigError, ServiceConfig
from shoal.describe import try_settings
from shoal.installation import Installation
from shoal.resources import Resources
from shoal.service import Built, Service, installed
from shoal.testing.servers import TestDatabases
from shoal_embedded.nats import EmbeddedNats

from .toy import STEPS, build, environment_of


class Shoal:
    """Runs the command as an operator does, with one service installed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
        self.environment = environment
        self._monkeypatch = monkeypatch
        self.install(STEPS)

    def install(self, steps: Path, build: Callable[[Resources[ServiceConfig]], Built] = build) -> None:
        service = Service(name="toy", port=8199, config=ServiceConfig, migrations=steps, build=build, about="a [toy]")
        self._monkeypatch.setattr(
            "shoal.cli.installed", lambda names=("toy",): {"toy": service} if "toy" in names else {}
        )

    def __call__(self, *words: str, **changes: str | None) -> Result:
        with self._monkeypatch.context() as patched:
            for name in [name for name in os.environ if name.startswith(("SHOAL_", "TOY_"))]:
                patched.delenv(name)
            for name, value in (self.environment | changes).items():
                if value is not None:
                    patched.setenv(name, value)
            return CliRunner().invoke(app, words, env={"COLUMNS": "300"})


@pytest_asyncio.fixture
async def empty_url(databases: TestDatabases) -> AsyncIterator[str]:
    url = await databases.make([])
    yield url
    await databases.drop(url)


@pytest.fixture
def shoal(
    monkeypatch: pytest.MonkeyPatch, credentials: Installation, empty_url: str, nats_at_hand: EmbeddedNats
) -> Shoal:
    environment = environment_of(credentials, database_url=empty_url, nats_url=nats_at_hand.url)
    return Shoal(monkeypatch, environment | {"SHOAL_DATABASE_URL": empty_url})


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Shoal:
    return Shoal(monkeypatch, {})


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """The command sets up the process's log; the next test has its own again."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = before
    root.setLevel(level)


def friendly(run: Result, *words: str) -> None:
    """Check that a failure is told in words, with a cure, and without a traceback."""
    assert run.exit_code == 1, run.output
    assert isinstance(run.exception, SystemExit), run.exception
    assert run.stderr.startswith("shoal: ")
    assert "→" in run.stderr
    for word in words:
        assert word in run.stderr


def test_list_names_what_is_installed(bare: Shoal) -> None:
    run = bare("list")
    assert run.exit_code == 0
    assert "toy" in run.stdout
    assert "8199" in run.stdout
    assert "a [toy]" in run.stdout


def test_without_a_word_it_explains_itself(bare: Shoal) -> None:
    run = bare()
    assert "The control plane for fleets of AI agents" in run.stdout
    for command in ("run", "migrate", "check", "list", "openapi"):
        assert command in run.stdout


@pytest.mark.parametrize("command", ["run", "migrate", "check", "openapi"])
def test_unknown_service_is_told_with_the_known_ones(bare: Shoal, command: str) -> None:
    told = bare(command, "toi")
    friendly(told, "no service is called toi", "choose from: toy, all")
    assert told.stderr.count("→") == 1


def test_run_tells_everything_that_is_not_set(bare: Shoal) -> None:
    run = bare("run", "toy", SHOAL_LOG_LEVEL="[loud]", TOY_PORT="many")
    friendly(run, "TOY_DATABASE_URL or SHOAL_DATABASE_URL is not set", "TOY_PORT", "'[loud]'", "`shoal check`")


def test_run_tells_which_port_is_taken(shoal: Shoal, nats_at_hand: EmbeddedNats) -> None:
    run = shoal("run", "toy", TOY_PORT=str(nats_at_hand.port))
    friendly(run, f"cannot listen on 127.0.0.1:{nats_at_hand.port}: Address already in use")


def test_migrate_then_check_hold(shoal: Shoal) -> None:
    friendly(shoal("check", "toy"), "toy: ")  # there is no schema, and maybe no role yet
    migrated = shoal("migrate", "all")
    assert migrated.exit_code == 0, migrated.stderr
    assert migrated.stdout == "toy: schema toy is at 0101\n"
    assert shoal("migrate", "toy").stdout == migrated.stdout
    checked = shoal("check", "toy")
    assert checked.exit_code == 0, checked.stderr
    assert "All of it holds." in checked.stdout
    assert "***" in checked.stdout
    for secret in ("TOY_DATABASE_URL", "TOY_IDENTITY_KEY"):
        assert shoal.environment[secret] not in checked.stdout


def test_check_reads_what_a_running_suite_left_in_its_folder(shoal: Shoal, bare: Shoal, tmp_path: Path) -> None:
    shoal("migrate", "toy")
    (tmp_path / "environment.json").write_text(json.dumps(shoal.environment))
    assert "--state" in bare("check", "toy", "--state", str(tmp_path / "elsewhere")).stderr
    checked = bare("check", "toy", "--state", str(tmp_path))
    assert "All of it holds." in checked.stdout, checked.stderr


def test_check_without_a_name_looks_at_every_service_and_cuts_nothing(bare: Shoal) -> None:
    run = bare("check", SHOAL_IDENTITY_KEYS="x" * 400)
    friendly(run, "toy: TOY_DATABASE_URL or SHOAL_DATABASE_URL is not set")
    assert run.stdout.startswith("# toy\n")
    assert f"TOY_IDENTITY_KEYS={'x' * 400} (from SHOAL_IDENTITY_KEYS)\n" in run.stdout
    for line in ("TOY_DATABASE_URL=- (required)", "TOY_NATS_CA=- (default)", "TOY_DRAIN_TIMEOUT=10s (default)"):
        assert f"{line}\n" in run.stdout


def test_check_and_run_name_variables_of_no_setting_without_their_values(bare: Shoal) -> None:
    strange = {"TOY_LOG_LEVL": "canary", "SHOAL_PUBLC_URL": "canary"}
    checked, ran = bare("check", **strange), bare("run", "toy", **strange)
    for told in (checked.stdout, ran.output):
        assert "SHOAL_PUBLC_URL" in told
        assert "TOY_LOG_LEVL" in told
        assert "canary" not in told
    assert ran.output.count("variables_of_no_setting") == 1


def test_check_refuses_what_the_start_refuses(shoal: Shoal) -> None:
    assert shoal("migrate", "toy").exit_code == 0

    def build_that_refuses(resources: Resources[ServiceConfig]) -> Built:
        raise ConfigError([f"TOY_HOST: {resources.config.host} is not ours"])

    shoal.install(STEPS, build=build_that_refuses)
    friendly(shoal("check", "toy"), "toy: TOY_HOST: 127.0.0.1 is not ours")


def test_migrate_reads_addresses_from_files(shoal: Shoal, tmp_path: Path) -> None:
    for name in ("SHOAL_DATABASE_URL", "TOY_DATABASE_URL"):
        (tmp_path / name).write_text(shoal.environment[name] + "\n")
    files = {f"{name}_FILE": str(tmp_path / name) for name in ("SHOAL_DATABASE_URL", "TOY_DATABASE_URL")}
    run = shoal("migrate", "toy", SHOAL_DATABASE_URL=None, TOY_DATABASE_URL=None, **files)
    assert run.exit_code == 0, run.stderr
    run = shoal("migrate", "toy", SHOAL_DATABASE_URL=None, SHOAL_DATABASE_URL_FILE="/nowhere")
    friendly(run, "SHOAL_DATABASE_URL", "/nowhere")


def test_migrate_waits_no_longer_than_it_was_told(shoal: Shoal) -> None:
    nobody = "postgresql://shoal:secret@127.0.0.1:1/shoal"
    started = time.monotonic()
    run = shoal("migrate", "toy", "--wait", "1s", SHOAL_DATABASE_URL=nobody)
    assert time.monotonic() - started >= 1
    friendly(run, "toy: ")
    friendly(shoal("migrate", "toy", "--wait", "soon"), "'soon' is not a duration")


def test_migrate_without_an_administrator_is_told(bare: Shoal) -> None:
    friendly(bare("migrate", "toy"), "SHOAL_DATABASE_URL is not set", "may create roles and schemas")


@pytest.mark.parametrize("url", ["postgresql://x:y@127.0.0.1:1/none", "postgresql://x:canary@127.0.0.1:port/none", "x"])
def test_migrate_where_no_database_is_is_told(bare: Shoal, url: str) -> None:
    run = bare("migrate", "toy", SHOAL_DATABASE_URL=url)
    friendly(run)
    assert "canary" not in run.stderr


def test_migrate_tells_the_step_that_failed(shoal: Shoal, tmp_path: Path) -> None:
    steps = tmp_path / "broken"
    steps.mkdir()
    (steps / "0101_x.sql").write_text("-- migrate:up\nselect * from [nowhere];\n-- migrate:down\n")
    shoal.install(steps)
    friendly(shoal("migrate", "toy"), "0101_x.sql", "mend it and run this again")


def test_check_tells_what_cannot_be_reached(shoal: Shoal) -> None:
    assert shoal("migrate", "toy").exit_code == 0
    friendly(shoal("check", "toy", TOY_NATS_URL="nats://127.0.0.1:1"), "toy: NATS cannot be reached")
    nobody = "postgresql://x:canary@127.0.0.1:1/none"
    run = shoal("check", "toy", TOY_DATABASE_URL=nobody)
    friendly(run, "toy: the database cannot be reached")
    assert "canary" not in run.stderr + run.stdout


def test_check_tells_a_schema_that_is_behind(shoal: Shoal, tmp_path: Path) -> None:
    assert shoal("migrate", "toy").exit_code == 0
    steps = tmp_path / "later"
    steps.mkdir()
    (steps / "0102_x.sql").write_text("-- migrate:up\n-- migrate:down\n")
    shoal.install(steps)
    friendly(shoal("check", "toy"), "toy: schema is at 0101, needs 0102: `shoal migrate toy`")


def test_openapi_is_written_without_any_server(bare: Shoal) -> None:
    run = bare("openapi", "toy")
    assert run.exit_code == 0, run.stderr
    assert json.loads(run.stdout)["info"]["title"] == "Shoal toy"


def test_other_distributions_commands_are_shown_and_run(bare: Shoal) -> None:
    added = importlib.metadata.entry_points(group="shoal.commands").names
    shown = bare("--help").stdout
    assert {"account", "up"} <= added
    assert [name for name in added if name not in shown] == []
    assert "Accounts of this installation." in bare("account", "--help").stdout
    assert "--processes" in bare("up", "--help").stdout
    assert bare("nonsense").exit_code == 2


def test_running_a_service_loads_no_command_of_other_distributions() -> None:
    script = "import sys; from shoal.cli import app; app(['run', 'nothing'], standalone_mode=False)"
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", script], capture_output=True, text=True, check=False
    ).stderr
    assert "shoal.cli" in told
    assert not re.search(r"shoal_operations|shoal_agent\.cli|gateway\.cli", told)


def test_command_is_installed() -> None:
    (point,) = importlib.metadata.entry_points(group="console_scripts", name="shoal")
    assert point.value == "shoal.cli:main"


@pytest.mark.parametrize(
    ("name", "text", "service"),
    [
        ("SHOAL_OUTGOING_ALLOWED", "http://127.0.0.1:18099/v1", "agent-runtime"),
        ("SHOAL_OUTGOING_ALLOWED", "10.0.0.0/99", "agent-runtime"),
        ("SHOAL_PUBLIC_URL", "shoal.example", "instance-orchestrator"),
        ("INSTANCE_ORCHESTRATOR_PORTS", "many", "instance-orchestrator"),
        ("SSH_MANAGER_ENCRYPTION_KEY", "canary", "ssh-manager"),
        ("GATEWAY_TRUSTED_PROXIES", "proxy", "gateway"),
        ("SHOAL_PLANS", "[]", "pairing"),
    ],
)
def test_a_setting_that_the_factory_refuses_is_refused_before_the_start(name: str, text: str, service: str) -> None:
    (problem,) = try_settings(installed([service])[service], {name: text})
    assert name in problem
    assert "canary" not in problem
