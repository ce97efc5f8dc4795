"""Where commands sign in: what is set, else the suite that runs here."""

import asyncio
import fcntl
import json
from pathlib import Path

import nats
import pytest
from typer.testing import CliRunner

from shoal.cli import app
from shoal.installation import Installation
from shoal.messaging import StreamLimits, streams
from shoal_embedded.nats import EmbeddedNats
from shoal_embedded.nats_users import USERS, service_users
from shoal_operations.credentials import service_names


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SHOAL_NATS_URL", raising=False)


def test_without_any_address_a_command_says_so() -> None:
    told = CliRunner().invoke(app, ["dead"])
    assert told.exit_code == 1
    assert "SHOAL_NATS_URL is not set" in told.output


async def test_letters_of_the_suite_that_runs_here_are_listed_without_an_address(tmp_path: Path) -> None:
    state = tmp_path / ".shoal"
    state.mkdir()
    outsiders = [user for user in USERS if user not in service_names()]
    made = Installation.open(state / "installation.json", service_names(), passwords=outsiders)
    passwords = {name: one.nats_password for name, one in made.services.items()} | made.passwords
    server = EmbeddedNats(tmp_path / "nats", users=service_users(passwords), sync_always=False)
    await server.start()
    try:
        (state / "environment.json").write_text(json.dumps({"GATEWAY_NATS_URL": server.url_for("gateway")}))
        client = await nats.connect(server.url_for("admin"))
        for stream in streams(StreamLimits()):
            await client.jetstream().add_stream(stream)
        headers = {"shoal-subject": "shoal.events.a.b.v1.1", "shoal-reason": "it was too heavy"}
        await client.jetstream().publish("shoal.dead.pairing.pairing-users", b"{}", headers=headers)
        await client.close()
        told = await asyncio.to_thread(CliRunner().invoke, app, ["dead"], env={"COLUMNS": "200"})
    finally:
        await server.stop()
    assert told.exit_code == 0, told.output
    assert "it was too heavy" in told.output


def test_a_backup_into_a_folder_that_another_one_writes_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "manifest.json").write_text("of the other")
    with (folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        told = CliRunner().invoke(
            app, ["backup", str(folder), "--no-database"], env={"SHOAL_NATS_URL": "nats://127.0.0.1:1"}
        )
    assert told.exit_code == 1
    assert f"another backup is being written into {folder}" in told.output
    assert (folder / "manifest.json").read_text() == "of the other"


def test_addresses_that_cannot_be_make_no_credentials(tmp_path: Path) -> None:
    for database, address, option in (
        ("x", "nats://nats:4222", "--database"),
        ("postgresql://db/shoal", "y", "--nats"),
    ):
        words = ["credentials", str(tmp_path / "made"), "--database", database, "--nats", address]
        told = CliRunner().invoke(app, words)
        assert told.exit_code == 1
        assert f"shoal: {option} must read" in told.output
    assert not (tmp_path / "made").exists()


def test_words_of_the_system_are_told_as_cause_and_cure(tmp_path: Path) -> None:
    nowhere = {"SHOAL_NATS_URL": "nats://127.0.0.1:1", "SHOAL_DATABASE_URL": "postgresql://x:canary@127.0.0.1:1/none"}
    for words, expected in (
        (["restore", str(tmp_path / "none")], f"no whole backup in {tmp_path}/none"),
        (["backup", str(tmp_path / "new")], "PostgreSQL cannot be reached at 127.0.0.1:1: nobody answers there"),
        (["dead"], "NATS cannot be reached at 127.0.0.1:1"),
        (["dead", "--replay", "one"], "--replay one names no letter"),
    ):
        told = CliRunner().invoke(app, words, env=nowhere)
        assert told.exit_code == 1
        assert expected in told.output
        assert "Errno" not in told.output
        assert "canary" not in told.output
        assert "→" in told.output
    assert list(tmp_path.iterdir()) == []
