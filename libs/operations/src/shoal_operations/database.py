"""PostgreSQL as a file: pg_dump and pg_restore, which read everything as it was at one moment."""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg

DUMP = "database.dump"
TLS: Final = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl")
"""Parameters of an address that libpq knows as variables too."""


class DumpError(Exception):
    """PostgreSQL's own tools failed; carries their words."""


async def save_database(url: str, folder: Path, *, programs: Path | None = None) -> None:
    """Write the whole database to `database.dump`.

    Args:
        url: As a role that may read everything.
        folder: Is there.
        programs: Where pg_dump is; by default on the path.

    Raises:
        DumpError: It could not be read.
    """
    await _run("pg_dump", ["--format=custom", f"--file={folder / DUMP}"], url, programs)


async def load_database(url: str, folder: Path, *, programs: Path | None = None) -> None:
    """Put everything back in the place of schemas that are there; roles must be (`shoal migrate`).

    Raises:
        DumpError: There is no dump, or it is not whole, or services run: all is as it was. Or it could not be written:
            begin again.
    """
    if not (folder / DUMP).exists():
        raise DumpError(f"{folder} has no {DUMP}: put the database back by other means, then say --no-database")
    await _run("pg_restore", ["--file=/dev/null", str(folder / DUMP)], url, programs)  # all of it can be read
    await _drop_schemas(url)
    options = ["--single-transaction", "--exit-on-error"]
    await _run("pg_restore", [*options, f"--dbname={urlsplit(url).path.strip('/')}", str(folder / DUMP)], url, programs)


async def _drop_schemas(url: str) -> None:
    """Drop every schema that was migrated; pg_restore itself stumbles over partitions when it is to drop."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        found = await connection.fetch("select schemaname from pg_tables where tablename = 'schema_migration'")
        names = [one["schemaname"] for one in found]
        busy = await connection.fetch(
            "select distinct usename from pg_stat_activity where datname = current_database() and usename = any($1)",
            names,
        )
        if busy:
            raise DumpError(f"services still run: {', '.join(one['usename'] for one in busy)}")
        for name in names:
            await connection.execute(f'drop schema "{name}" cascade')
    finally:
        await connection.close()


async def _run(program: str, arguments: list[str], url: str, programs: Path | None) -> None:
    found = str(programs / program) if programs else shutil.which(program)
    if found is None:
        raise DumpError(f"{program} is not installed: it comes with PostgreSQL's client")
    process = await asyncio.create_subprocess_exec(
        found,
        *arguments,
        env=_environment(url),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, words = await process.communicate()
    if process.returncode != 0:
        raise DumpError(f"{program} failed: {words.decode(errors='replace').strip()}")


def _environment(url: str) -> dict[str, str]:
    """Tell libpq where to go, and how to be sure of it: not by arguments, which show in ps."""
    parts = urlsplit(url)
    options = {name: value for name, value in parse_qsl(parts.query) if name in TLS}
    return {
        **{name: os.environ[name] for name in ("PATH", "PGSSLROOTCERT") if name in os.environ},
        **{f"PG{name.upper()}": value for name, value in options.items()},
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port or 5432),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": parts.path.strip("/"),
        "PGCONNECT_TIMEOUT": "10",
    }
