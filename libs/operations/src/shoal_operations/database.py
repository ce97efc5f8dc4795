"""PostgreSQL as a file: pg_dump and pg_restore, which read everything as it was at one moment."""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg

from shoal.reasons import reason
from shoal_operations.errors import MEND, OperationError

DUMP = "database.dump"
TLS: Final = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl")
"""Parameters of an address that libpq knows as variables too."""
_ROLE: Final = re.compile(r'role "([^"]+)" does not exist')
_VERSIONS: Final = "server version mismatch"


class DumpError(OperationError):
    """PostgreSQL's own tools failed, or PostgreSQL is not to be had; carries their words."""


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect for a moment.

    Raises:
        DumpError: Nobody answers, or lets us in.
    """
    try:
        connection = await asyncpg.connect(url, timeout=10)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        place = urlsplit(url).netloc.rpartition("@")[2]
        told = f"PostgreSQL cannot be reached at {place}: {reason(error)}"
        raise DumpError(told, "start it, or set SHOAL_DATABASE_URL to where it is") from error
    try:
        yield connection
    finally:
        await connection.close()


async def server_major(url: str) -> int:
    """Ask a server for its version, such as 18.

    Raises:
        DumpError: It cannot be reached.
    """
    async with connected(url) as connection:
        return int(connection.get_server_version().major)


async def save_database(url: str, folder: Path, *, programs: Path) -> None:
    """Write the whole database to `database.dump`.

    Args:
        url: As a role that may read everything.
        folder: Is there.
        programs: Where pg_dump is.

    Raises:
        DumpError: It could not be read.
    """
    await _run("pg_dump", ["--format=custom", f"--file={folder / DUMP}"], url, programs)


async def check_dump(url: str, folder: Path, *, programs: Path) -> None:
    """Read all of a dump and throw it away.

    Raises:
        DumpError: There is none, or it is not whole.
    """
    if not (folder / DUMP).exists():
        cure = "name a folder with a dump, or put the database back by other means and say --no-database"
        raise DumpError(f"{folder} has no {DUMP}", cure)
    await _run("pg_restore", ["--file=/dev/null", str(folder / DUMP)], url, programs)


async def load_database(url: str, folder: Path, *, programs: Path) -> None:
    """Put everything back in the place of schemas that are there; roles must be (`shoal migrate`).

    Raises:
        DumpError: There is no dump, or it is not whole, or services run: all is as it was. Or it could not be written:
            begin again.
    """
    await check_dump(url, folder, programs=programs)
    await _drop_schemas(url)
    options = ["--single-transaction", "--exit-on-error"]
    await _run("pg_restore", [*options, f"--dbname={urlsplit(url).path.strip('/')}", str(folder / DUMP)], url, programs)


async def _drop_schemas(url: str) -> None:
    """Drop every schema that was migrated; pg_restore itself stumbles over partitions when it is to drop."""
    async with connected(url) as connection:
        found = await connection.fetch("select schemaname from pg_tables where tablename = 'schema_migration'")
        names = [one["schemaname"] for one in found]
        busy = await connection.fetch(
            "select distinct usename from pg_stat_activity where datname = current_database() and usename = any($1)",
            names,
        )
        if busy:
            told = ", ".join(one["usename"] for one in busy)
            raise DumpError(f"services still run: {told}", "stop them, then run this again; nothing was changed")
        for name in names:
            await connection.execute(f'drop schema "{name}" cascade')


async def _run(program: str, arguments: list[str], url: str, programs: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        programs / program,
        *arguments,
        env=_environment(url),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, words = await process.communicate()
    if process.returncode != 0:
        told = words.decode(errors="replace").strip()
        raise DumpError(f"{program} failed: {told}", _cure(told))


def _cure(told: str) -> str:
    if role := _ROLE.search(told):
        return (
            f"migrate the database first: `shoal migrate all` makes {role[1]} and every other role; then run this again"
        )
    if _VERSIONS in told:
        return "name the folder of programs of the server's version with --programs, or leave that out to have it found"
    return MEND


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
