"""PostgreSQL and NATS for tests."""

import asyncio
import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

from shoal.installation import Installation, as_role
from shoal.service import Service

_MEMORY = Path("/dev/shm")  # noqa: S108 - the folders made there have names that nobody can guess
_ENOUGH_BYTES = 2 * 2**30


class TestDatabases:
    """Databases made from one migrated template, a fresh one for each test."""

    __test__ = False

    def __init__(self, admin_url: str, installation: Installation) -> None:
        self.admin_url = admin_url
        self._installation = installation
        self._templates: dict[tuple[str, ...], str] = {}

    async def make(self, services: Sequence[Service]) -> str:
        """Make a database in which these services' schemas are up to date; returns its admin URL."""
        key = tuple(sorted(service.name for service in services))
        if key not in self._templates:
            self._templates[key] = await self._make_template(services)
        name = f"test_{uuid4().hex[:12]}"
        await self._execute(f'create database "{name}" template "{self._templates[key]}" strategy file_copy')
        return in_database(self.admin_url, name)

    async def drop(self, url: str) -> None:
        """Drop a database, whoever is still connected to it."""
        await self._execute(f'drop database if exists "{urlsplit(url).path[1:]}" with (force)')

    async def _make_template(self, services: Sequence[Service]) -> str:
        name = f"template_{uuid4().hex[:12]}"
        await self._execute(f'create database "{name}"')
        url = in_database(self.admin_url, name)
        for service in services:
            password = self._installation.services[service.name].database_password
            await service.schema.migrate(url, working_url=as_role(url, service.schema.name, password))
        return name

    async def _execute(self, sql: str) -> None:
        connection = await asyncpg.connect(self.admin_url, timeout=10)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def postgres() -> AsyncIterator[str]:
    """Lend a PostgreSQL server; yields the URL of a superuser."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    if _docker_answers():
        from testcontainers.postgres import PostgresContainer  # noqa: PLC0415 - only where Docker is

        container = await asyncio.to_thread(PostgresContainer("postgres:17", driver=None).start)
        try:
            yield container.get_connection_url()
        finally:
            await asyncio.to_thread(container.stop)
        return
    from shoal_embedded.postgres import EmbeddedPostgres  # noqa: PLC0415 - the fallback of a test-only extra

    with _folder("shoal-pg-") as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres", fsync=False, max_connections=300)
        await server.start()
        try:
            yield server.url
        finally:
            await server.stop()


@contextlib.asynccontextmanager
async def nats_server() -> AsyncIterator[str]:
    """Lend a NATS server with JetStream, empty; yields its URL."""
    from shoal_embedded.nats import EmbeddedNats  # noqa: PLC0415 - the fallback of a test-only extra

    with _folder("shoal-nats-") as folder:
        server = EmbeddedNats(Path(folder) / "nats")
        await server.start()
        try:
            yield server.url
        finally:
            await server.stop()


def _folder(prefix: str) -> tempfile.TemporaryDirectory[str]:
    """Make a folder for a server's data: in memory where there is room, since tests wait for disks most of all."""
    memory = shutil.disk_usage(_MEMORY).free if os.access(_MEMORY, os.W_OK) else 0
    place = _MEMORY if memory > _ENOUGH_BYTES else None
    return tempfile.TemporaryDirectory(prefix=prefix, dir=place, ignore_cleanup_errors=True)


def in_database(url: str, name: str) -> str:
    """Give the same server's other database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _docker_answers() -> bool:
    """Ping the engine on its socket; the docker package itself leaves sockets open when nobody answers."""
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not address.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(address.removeprefix("unix://"))
            probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b"200" in probe.recv(64)
        except OSError:
            return False
