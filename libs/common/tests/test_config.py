"""Configuration: everything wrong is told at once, and no secret with it."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta, Struct

from shoal.config import (
    ConfigError,
    Secret,
    ServiceConfig,
    check_networks,
    check_plans,
    check_public_url,
    explain,
    load,
    names_of,
    parse_duration,
    shared,
)
from shoal.identity import new_key_pair
from shoal.service import installed
from shoal.variables import ELSEWHERE, ELSEWHERE_BEGINNINGS, unknown

REPOSITORY = Path(__file__).parents[3]
SOURCES = ("docker-compose.yml", "Dockerfile", "deploy/**/*.py", "deploy/**/*.tpl", "*/src/**/*.py", "*/*/src/**/*.py")


class Config(Struct, frozen=True, kw_only=True):
    token: Annotated[Secret, shared("SHOAL_TOKEN")]
    size: Annotated[int, Meta(ge=1)] = 3
    ttl: timedelta = timedelta(minutes=30)
    ratio: float = 0.5
    is_open: bool = False
    names: tuple[str, ...] = ()
    home: Path | None = None


def service_environment(**changes: str) -> dict[str, str]:
    private, public = new_key_pair()
    return {
        "SHOAL_DATABASE_URL": "postgresql://toy:pa%40ss@db:5432/shoal",
        "SHOAL_NATS_URL": "nats://toy:hush@nats:4222",
        "TOY_IDENTITY_KEY": private,
        "SHOAL_IDENTITY_KEYS": msgspec.json.encode({"toy": public}).decode(),
    } | changes


def problems(**changes: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(ServiceConfig, "TOY", service_environment(**changes))
    return refused.value.problems


def test_values_come_from_the_services_own_variables_and_defaults() -> None:
    environment = {
        "TOY_TOKEN": "t",
        "TOY_SIZE": "7",
        "TOY_TTL": "1h30m",
        "TOY_IS_OPEN": "Yes",
        "TOY_NAMES": "a, b,,c",
        "TOY_HOME": "/home",
    }
    config = load(Config, "TOY", environment)
    assert config.token.reveal() == "t"
    assert (config.size, config.ttl, config.ratio, config.is_open) == (7, timedelta(minutes=90), 0.5, True)
    assert (config.names, config.home) == (("a", "b", "c"), Path("/home"))


def test_own_variable_wins_over_the_shared_one() -> None:
    assert load(Config, "TOY", {"SHOAL_TOKEN": "shared"}).token.reveal() == "shared"
    assert load(Config, "TOY", {"SHOAL_TOKEN": "shared", "TOY_TOKEN": "own"}).token.reveal() == "own"


def test_value_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from a file\n")
    assert load(Config, "TOY", {"SHOAL_TOKEN_FILE": str(file)}).token.reveal() == "from a file"
    given_twice = {"TOY_TOKEN": "t", "TOY_SIZE": "4", "TOY_SIZE_FILE": str(file.with_name("absent"))}
    assert load(Config, "TOY", given_twice).size == 4


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    environment = {
        "TOY_SIZE": "0",
        "TOY_TTL": "soon",
        "TOY_RATIO": "half",
        "TOY_IS_OPEN": "perhaps",
        "TOY_HOME_FILE": str(tmp_path / "absent"),
    }
    with pytest.raises(ConfigError) as refused:
        load(Config, "TOY", environment)
    told = refused.value.problems
    assert [problem.partition(" ")[0].rstrip(":") for problem in told] == [
        "TOY_TOKEN", "TOY_SIZE", "TOY_TTL", "TOY_RATIO", "TOY_IS_OPEN", "TOY_HOME",
    ]  # fmt: skip
    assert told[0] == "TOY_TOKEN or SHOAL_TOKEN is not set"
    assert all(problem in str(refused.value) for problem in told)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("1h30m", 5400), ("250ms", 0.25), ("2d", 172800), ("1.5s", 1.5), ("7", 7)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "m", "1x", "30m and more", "-5s", "1 h", "s30"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


def test_service_configuration_holds() -> None:
    config = load(ServiceConfig, "TOY", service_environment(TOY_PORT="8123", SHOAL_LOG_LEVEL="WARNING"))
    assert (config.port, config.log_level, config.drain_timeout) == (8123, "WARNING", timedelta(seconds=10))


@pytest.mark.parametrize(
    "changes",
    [
        {"TOY_DATABASE_URL": "mysql://toy:canary@db/shoal"},
        {"TOY_DATABASE_URL": "postgresql://toy:canary/slash@db/shoal"},
        {"TOY_DATABASE_URL": "canary"},
        {"TOY_NATS_URL": "http://toy:canary@nats"},
        {"TOY_NATS_URL": "nats://toy:canary:@nats:port"},
        {"TOY_IDENTITY_KEY": "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n"},
        {"TOY_IDENTITY_KEY": "canary"},
        {"TOY_IDENTITY_KEY": ""},
    ],
)
def test_secret_that_will_not_do_is_told_without_it(changes: dict[str, str]) -> None:
    (problem,) = problems(**changes)
    assert problem.startswith(next(iter(changes)))
    assert "canary" not in problem


@pytest.mark.parametrize(
    "changes",
    [
        {"SHOAL_IDENTITY_KEYS": "{"},
        {"SHOAL_IDENTITY_KEYS": '["toy"]'},
        {"SHOAL_SERVICES": '{"pairing": 8101}'},
        {"SHOAL_LOG_LEVEL": "loud"},
        {"SHOAL_TRACE_RATIO": "2"},
        {"SHOAL_TRACE_RATIO": "nan"},
        {"SHOAL_DATABASE_POOL": "0"},
        {"TOY_PORT": "65536"},
    ],
)
def test_value_that_would_fail_later_fails_here(changes: dict[str, str]) -> None:
    (problem,) = problems(**changes)
    assert problem.startswith(f"{next(iter(changes))}: ")


@pytest.mark.parametrize(
    "text", ["shoal.example", "shoal.example:8080", "ftp://shoal.example", "https://", "http://[::1"]
)
def test_public_address_is_one_that_browsers_open(text: str) -> None:
    with pytest.raises(ValueError, match=r"https?://|IPv6"):
        check_public_url(text)
    check_public_url("http://127.0.0.1:8080/")


def test_networks_and_plans_are_looked_at_before_the_start() -> None:
    check_networks("10.1.0.0/8, fd00::/8")  # bits of the host are no harm, as at the start
    check_networks("")
    with pytest.raises(ValueError, match="'proxy' is no network"):
        check_networks("10.0.0.0/8, proxy")
    check_plans('{"free": {"max_agents": 3}, "self-hosted": {}}')
    for text in ("{", "[]", '{"free": 3}'):
        with pytest.raises(ValueError, match="must hold a JSON object from plan to limits"):
            check_plans(text)


def test_secrets_show_themselves_nowhere() -> None:
    config = load(ServiceConfig, "TOY", service_environment())
    shown = f"{config!r} {config} {config.database_url} {config.nats_url!r} {[config.identity_key]}"
    assert "pa%40ss" not in shown
    assert "hush" not in shown
    assert "PRIVATE" not in shown


def test_explanation_names_sources_and_hides_secrets(tmp_path: Path) -> None:
    environment = {"SHOAL_TOKEN_FILE": "/run/secrets/token", "TOY_SIZE": "7"}
    rows = {name: (source, value) for name, source, value in explain(Config, "TOY", environment)}
    assert rows["TOY_TOKEN"] == ("SHOAL_TOKEN", "***")
    assert rows["TOY_SIZE"] == ("TOY_SIZE", "7")
    assert rows["TOY_TTL"] == ("default", "30m")
    assert (rows["TOY_IS_OPEN"], rows["TOY_NAMES"], rows["TOY_HOME"]) == (
        ("default", "false"), ("default", "-"), ("default", "-"),
    )  # fmt: skip
    assert {name for name, source, _ in explain(Config, "TOY", {}) if source == "default"} == set(rows) - {"TOY_TOKEN"}
    assert explain(Config, "TOY", {})[0] == ("TOY_TOKEN", "required", "-")


def test_defaults_are_explained_in_the_words_of_the_page_of_settings() -> None:
    page = (REPOSITORY / "docs" / "settings.md").read_text()
    for service in installed().values():
        shared_names = [name for name in names_of(service.config, service.prefix) if name.startswith("SHOAL_")]
        for name, source, value in explain(service.config, service.prefix, {}):
            shown = source if source == "required" else value if value == "-" else f"`{value}`"
            names = [name, name.replace(service.prefix, "<SERVICE>", 1), *shared_names]
            assert any(f"| `{one}` | {shown} |" in page for one in names), (name, shown)


def test_variables_that_no_setting_has_are_named_and_those_of_others_are_not() -> None:
    known = names_of(Config, "TOY")
    given = ["TOY_TKEN", "TOY_TOKEN_FILE", "SHOAL_TOKENS", "SHOAL_TOKEN", "SHOAL_AGENT_STATE", "SHOAL_PLANS", "HOME"]
    assert unknown(given, known, prefixes=["TOY"]) == ["SHOAL_TOKENS", "TOY_TKEN"]
    for service in installed().values():  # a process that runs one service does not load the others
        of_all = names_of(ServiceConfig, "") | ELSEWHERE
        shared_names = {name for name in names_of(service.config, service.prefix) if name.startswith("SHOAL_")}
        assert shared_names <= of_all


def test_variables_of_others_are_those_that_something_of_ours_names() -> None:
    files = (file for place in SOURCES for file in REPOSITORY.glob(place))
    texts = (file.read_text() for file in files if file.name != "variables.py")
    named = {name.removesuffix("_FILE") for text in texts for name in re.findall(r"\bSHOAL_[A-Z_]*[A-Z]\b", text)}
    others = {name for name in named if not name.startswith(ELSEWHERE_BEGINNINGS)}
    assert others - names_of(ServiceConfig, "") == ELSEWHERE


@pytest.mark.parametrize(("name", "text"), [("TOY_SIZE", "many"), ("TOY_SIZE", "0"), ("TOY_RATIO", "half")])
def test_what_will_not_do_is_told_without_types_of_python(name: str, text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(Config, "TOY", {"TOY_TOKEN": "t", name: text})
    (problem,) = refused.value.problems
    assert problem.startswith(f"{name}: {text!r} will not do: it must be a")
    assert "`" not in problem
