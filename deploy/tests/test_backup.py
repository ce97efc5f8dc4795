"""What PostgreSQL's image runs for a backup, with its folder and programs elsewhere."""

import fcntl
import os
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from chart import CHART, MATRIX, containers, named, render

ROOT = Path(__file__).parent.parent.parent
DUMP = """#!/bin/sh
for word; do case $word in --file=*) echo dump > "${word#--file=}" ;; esac; done
"""


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Make a volume with what `shoal backup --no-database` wrote, and four backups."""
    volume = tmp_path / "backup"
    for name in ("new", *(f"2026-01-0{day}T031700Z" for day in range(1, 5))):
        (volume / name).mkdir(parents=True)
        (volume / name / "manifest.json").write_text("{}")
        if name != "new":
            (volume / name / "database.dump").write_text("dump")
    (tmp_path / "url").write_text("postgresql://shoal:p%40ss%25@db:5432/shoal?sslmode=require\n")
    return volume


def save(volume: Path, what: str, *, keep: int = 3, dump: str = DUMP) -> subprocess.CompletedProcess[str]:
    """Run the script, with a pg_dump of our own."""
    programs = volume.parent / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "pg_dump").write_text(dump)
    (programs / "pg_dump").chmod(0o755)
    scripts = volume.parent / "scripts"
    scripts.mkdir(exist_ok=True)
    for name in ("save-database.sh", "database-url.sh"):
        (scripts / name).write_text((CHART / "files" / name).read_text().replace("/backup", str(volume)))
    env = {"PATH": f"{programs}:{os.environ['PATH']}", "KEEP": str(keep),
           "SHOAL_DATABASE_URL_FILE": str(volume.parent / "url")}  # fmt: skip
    return subprocess.run(
        ["sh", scripts / "save-database.sh", what], env=env, capture_output=True, text=True, check=False
    )


def names(volume: Path) -> list[str]:
    return sorted(one.name[:10] for one in volume.iterdir())


def test_a_backup_takes_its_place_among_the_newest(volume: Path) -> None:
    done = save(volume, f"{volume}/new")
    assert done.returncode == 0, done.stderr
    assert len(names(volume)) == 4  # three, and latest
    assert names(volume)[:2] == ["2026-01-03", "2026-01-04"]
    assert (volume / "latest" / "database.dump").read_text() == "dump\n"


def test_room_is_made_before_anything_is_written(volume: Path) -> None:
    assert save(volume, "room").returncode == 0
    assert names(volume) == ["2026-01-03", "2026-01-04", "new"]


def test_backups_that_fail_never_cost_the_last_good_one(volume: Path) -> None:
    for _ in range(3):
        assert save(volume, f"{volume}/new", keep=1, dump="#!/bin/sh\nexit 1\n").returncode != 0
    assert names(volume) == ["2026-01-04", "new"]


def test_two_at_once_have_folders_of_their_own_and_what_one_left_goes(volume: Path) -> None:
    for name, age in (("new-tonight", 0), ("new-backup-now", 60), ("new-last-night", 86400)):
        (volume / name).mkdir()
        (volume / name / "manifest.json").write_text("{}")
        os.utime(volume / name, (time.time() - age,) * 2)
    assert save(volume, f"{volume}/new-backup-now").returncode == 0
    left = {one.name for one in volume.iterdir() if one.name.startswith("new")}
    assert left == {"new", "new-tonight"}
    pod = named(render(MATRIX["everything on"]), "CronJob", "shoal-backup")["spec"]["jobTemplate"]["spec"]["template"]
    told = [one for one in containers(pod) if "/backup/new-$(JOB)" in (*one.get("args", []), *one.get("command", []))]
    assert len(told) == 2
    assert all("JOB" in {env["name"] for env in one["env"]} for one in told)


def test_who_comes_while_a_backup_is_written_is_told(volume: Path) -> None:
    with (volume / "new" / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = save(volume, f"{volume}/new")
        assert (done.returncode, done.stderr) == (
            1, f"another backup is being written into {volume}/new: wait until it is done\n",
        )  # fmt: skip
        assert (volume / "new" / "manifest.json").exists()
    assert save(volume, f"{volume}/new").returncode == 0
    assert not list(volume.glob("*/lock"))


@pytest.mark.parametrize(
    ("url", "said", "password"),
    [
        ("postgresql://shoal:p%40s%25s%C3%a4@db:5432/x?sslmode=require", "postgresql://shoal@db:5432/x?sslmode=require",
         "p@s%sä"),
        ("postgres://shoal:a:b\\n@db/x", "postgres://shoal@db/x", "a:b\\n"),
        ("postgresql://shoal@db:5432/x", "postgresql://shoal@db:5432/x", ""),
    ],
)  # fmt: skip
def test_no_argument_tells_the_password(volume: Path, url: str, said: str, password: str) -> None:
    (volume.parent / "url").write_text(f"{url}\n")
    told = volume.parent / "told"
    done = save(volume, f"{volume}/new", dump=f'#!/bin/sh\nprintf "%s\\n" "$PGPASSWORD" "$@" >{told}\n')
    assert done.returncode == 0, done.stderr
    assert told.read_text().splitlines() == [
        password, "--format=custom", f"--file={volume}/new/database.dump", f"--dbname={said}",
    ]  # fmt: skip


def test_scripts_find_beside_them_what_they_source() -> None:
    objects = render(MATRIX["everything on"])
    mounted = named(objects, "ConfigMap", "shoal-backup")["data"]
    for name in ("save-database.sh", "restore-database.sh"):
        assert '. "${0%/*}/database-url.sh"' in mounted[name]
        assert "PGPASSWORD" not in mounted[name]
    assert "export PGPASSWORD" in mounted["database-url.sh"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name in ("save-database", "restore-database"):
        folder = compose[name]["entrypoint"][1].rpartition("/")[0]
        assert f"./deploy/helm/shoal/files/database-url.sh:{folder}/database-url.sh:ro" in compose[name]["volumes"]


def test_the_alert_is_of_this_release() -> None:
    objects = render({**MATRIX["secrets of one's own"], "alerts": {"backupHours": 170}})
    rules = named(objects, "ConfigMap", "fleet-alerts")["data"]["shoal.yaml"]
    assert rules.count('{namespace="prod",cronjob="fleet-backup"}') == 2
    assert "> 170 * 3600" in rules
