"""Schemas: brought up to date once, by whoever comes; and what the working role may not do."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

from shoal.installation import Installation, as_role
from shoal.schema import MigrationError, Schema
from shoal.testing.servers import TestDatabases, in_database

from .toy import STEPS

Connection = "asyncpg.Connection[asyncpg.Record]"


def steps_in(folder: Path, **sql: str) -> Path:
    folder.mkdir()
    for name, text in sql.items():
        (folder / f"{name.strip('_')}.sql").write_text(f"-- migrate:up\n{text}\n-- migrate:down\n")
    return folder


@pytest_asyncio.fixture
async def empty_url(databases: TestDatabases) -> AsyncIterator[str]:
    """A database without any schema."""
    url = await databases.make([])
    yield url
    await databases.drop(url)


@pytest_asyncio.fixture
async def worker(working_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(working_url)
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def admin(admin_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(admin_url)
    yield connection
    await connection.close()


async def version_in(schema: Schema, url: str) -> str | None:
    connection = await asyncpg.connect(url)
    try:
        return await schema.version(connection)
    finally:
        await connection.close()


def working_in(url: str, role: str = "trial") -> str:
    return as_role(url, role, "a password")


async def test_version_tells_what_the_database_has(empty_url: str) -> None:
    schema = Schema("trial", STEPS)
    assert schema.latest == "0101"
    assert await version_in(schema, empty_url) is None
    await schema.migrate(empty_url, working_url=working_in(empty_url))
    assert await version_in(schema, empty_url) == "0101"


async def test_migrating_again_changes_nothing(empty_url: str) -> None:
    schema = Schema("trial", STEPS)
    for _ in range(2):
        await schema.migrate(empty_url, working_url=working_in(empty_url))
    connection = await asyncpg.connect(working_in(empty_url))
    assert await connection.fetchval("select count(*) from trial.schema_migration") == 2
    await connection.close()


async def test_two_that_migrate_at_once_both_succeed(empty_url: str) -> None:
    schema = Schema("trial", STEPS)
    await asyncio.gather(*(schema.migrate(empty_url, working_url=working_in(empty_url)) for _ in range(3)))
    assert await version_in(schema, empty_url) == "0101"


async def test_later_step_is_all_that_runs_later(empty_url: str, tmp_path: Path) -> None:
    steps = steps_in(tmp_path / "steps", _0101_a="create table a (id int);")
    schema = Schema("trial", steps)
    await schema.migrate(empty_url, working_url=working_in(empty_url))
    (steps / "0102_b.sql").write_text("-- migrate:up\ninsert into a values (1);\n-- migrate:down\n")
    assert schema.latest == "0102"
    for _ in range(2):
        await schema.migrate(empty_url, working_url=working_in(empty_url))
    connection = await asyncpg.connect(working_in(empty_url))
    assert await connection.fetchval("select count(*) from trial.a") == 1
    await connection.close()


async def test_failing_step_leaves_nothing_and_says_why(empty_url: str, tmp_path: Path) -> None:
    steps = steps_in(tmp_path / "steps", _0101_a="create table a (id int); insert into nowhere values (1);")
    schema = Schema("trial", steps)
    with pytest.raises(MigrationError, match=r"trial failed(.|\n)*nowhere") as failed:
        await schema.migrate(empty_url, working_url=working_in(empty_url))
    assert "a password" not in str(failed.value)
    assert urlsplit(empty_url).password not in str(failed.value)
    assert await version_in(schema, empty_url) == "0001"
    connection = await asyncpg.connect(empty_url)
    assert await connection.fetchval("select to_regclass('trial.a')") is None
    await connection.close()


async def test_database_that_is_not_there_fails_clearly() -> None:
    url = "postgresql://nobody:secret@127.0.0.1:1/none"
    with pytest.raises(OSError):
        await Schema("trial", STEPS).migrate(url, working_url=url)


async def test_password_of_any_kind_lets_the_worker_in(empty_url: str) -> None:
    working = as_role(empty_url, "trial", "p@ss'w/%rd:?#")
    await Schema("trial", STEPS).migrate(empty_url, working_url=working)
    connection = await asyncpg.connect(working)
    assert await connection.fetchval("select current_user") == "trial"
    await connection.close()


async def test_new_password_is_taken_over_by_migrating(empty_url: str) -> None:
    schema = Schema("trial", STEPS)
    for password in ("old", "new"):
        await schema.migrate(empty_url, working_url=as_role(empty_url, "trial", password))
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(as_role(empty_url, "trial", "old"))
    await (await asyncpg.connect(as_role(empty_url, "trial", "new"))).close()


@pytest.mark.parametrize("password", ["back\\slash", "do$$llars"])
async def test_password_that_no_statement_can_hold_is_refused(empty_url: str, password: str) -> None:
    with pytest.raises(MigrationError, match="neither a backslash nor"):
        await Schema("trial", STEPS).migrate(empty_url, working_url=as_role(empty_url, "trial", password))


async def test_administrator_need_not_be_superuser(databases: TestDatabases) -> None:
    """As with a managed PostgreSQL: it may create roles and owns the database."""
    admin = await asyncpg.connect(databases.admin_url)
    await admin.execute("create role keeper login createrole password 'keeper'")
    await admin.execute("create database kept owner keeper")
    try:
        keeper = as_role(in_database(databases.admin_url, "kept"), "keeper", "keeper")
        schema = Schema("kept_toy", STEPS)
        for _ in range(2):
            await schema.migrate(keeper, working_url=working_in(keeper, "kept_toy"))
        assert await version_in(schema, working_in(keeper, "kept_toy")) == "0101"
    finally:
        await admin.execute("drop database kept with (force)")
        await admin.execute("drop role if exists kept_toy")
        await admin.execute("drop role if exists kept_toy_owner")
        await admin.execute("drop role keeper")
        await admin.close()


# the working role


async def test_worker_reads_and_writes_rows_of_its_schema(worker: Connection) -> None:
    await worker.execute("insert into toy.note (id) values ('1')")
    await worker.execute("update toy.note set body = 'x'")
    assert await worker.fetchval("select count(*) from toy.note") == 1
    await worker.execute("delete from toy.note")
    await worker.execute("insert into toy.outbox (event_id, subject, type, entity_id, payload)"
                         " values (gen_random_uuid(), 's', 't', 'e', '')")  # fmt: skip


FORBIDDEN = (
    "create table toy.mine (id int)",
    "create table public.mine (id int)",
    "create schema mine",
    "alter table toy.note add column more text",
    "drop table toy.note",
    "truncate toy.note",
    "create index on toy.note (body)",
    "create function toy.f() returns int language sql as 'select 1'",
    "create extension pg_trgm",
    "create role mine",
    "set role toy_owner",
    "select * from other.secret",
    "insert into other.secret values (2)",
    "select * from other.outbox",
    "select * from pg_authid",
    "copy toy.note to program 'true'",
    "select pg_read_file('/etc/passwd')",
)


async def test_worker_changes_no_structure_and_reads_nothing_of_others(
    admin: Connection, worker: Connection, admin_url: str, tmp_path: Path
) -> None:
    other = Schema("other", steps_in(tmp_path / "other", _0101_secret="create table secret (id int);"))
    await other.migrate(admin_url, working_url=working_in(admin_url, "other"))
    await admin.execute("insert into other.secret values (1)")
    for sql in FORBIDDEN:
        refused: Exception | None = None
        try:
            await worker.execute(sql)
        except asyncpg.InsufficientPrivilegeError as error:
            refused = error
        assert refused is not None, f"the working role may {sql}"


async def test_tables_of_later_steps_are_the_workers_too(
    admin_url: str, working_url: str, worker: Connection, tmp_path: Path
) -> None:
    steps = steps_in(tmp_path / "steps", _0102_later="create table later (id int generated always as identity);")
    (steps / "0101_toy.sql").write_text((STEPS / "0101_toy.sql").read_text())
    await Schema("toy", steps).migrate(admin_url, working_url=working_url)
    assert await worker.fetchval("insert into toy.later default values returning id") == 1
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await worker.execute("drop table toy.later")


async def test_services_roles_are_named_after_their_schema(credentials: Installation, admin: Connection) -> None:
    rows = await admin.fetch(
        "select rolname, rolcanlogin, rolsuper from pg_roles where rolname in ('toy', 'toy_owner') order by 1"
    )
    assert [tuple(row) for row in rows] == [("toy", True, False), ("toy_owner", False, False)]


async def test_extensions_are_there_before_the_steps_and_open_to_the_working_role(
    empty_url: str, tmp_path: Path
) -> None:
    steps = steps_in(
        tmp_path / "steps",
        _0101_near="create table near (text text); create index on near using gin (text public.gin_trgm_ops);",
    )
    schema = Schema("trial", steps, extensions=("pg_trgm",))
    await schema.migrate(empty_url, working_url=working_in(empty_url))
    await schema.migrate(empty_url, working_url=working_in(empty_url))
    connection = await asyncpg.connect(working_in(empty_url))
    try:
        assert await connection.fetchval("select public.word_similarity('deploy', 'deploying')") > 0.8
    finally:
        await connection.close()
