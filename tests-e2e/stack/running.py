"""A suite with a process per service, on free ports and in a folder of its own, and what tests do to it."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import nats
import psutil
from nats.aio.client import Client

from shoal.identity import Issuer
from shoal.installation import Installation
from shoal_embedded.ports import free_port
from shoal_embedded.suite import LocalSuite
from stack.accounts import Account

PASSWORD = "correct horse battery staple"
READY_S = 30.0
LOG_LINES = 25
GIVEN = {"SHOAL_DRAIN_TIMEOUT": "2s", "SHOAL_LOG_LEVEL": "info"}


class Stack:
    """Everything that runs, the first admin, and the means to break it."""

    def __init__(self, suite: LocalSuite) -> None:
        self.suite = suite
        self.url = suite.url
        self._clients: list[httpx.AsyncClient] = []
        self._admin: Account | None = None

    @property
    def websocket_url(self) -> str:
        """Where telemetry is sent to and heard."""
        return f"ws{self.url.removeprefix('http')}/telemetry"

    @property
    def admin(self) -> Account:
        """The first account's admin, signed in."""
        assert self._admin is not None, "nobody has set the suite up"
        return self._admin

    def client(self, **headers: str) -> httpx.AsyncClient:
        """Make a client of the gateway that nobody knows yet."""
        client = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30, trust_env=False)
        self._clients.append(client)
        return client

    def direct_url(self, name: str) -> str:
        """Tell where a service itself listens, behind the gateway's back."""
        return f"http://127.0.0.1:{self.suite.environment[f'{self.suite.services[name].prefix}_PORT']}"

    async def set_up(self, password: str = PASSWORD) -> None:
        """Make the first admin, or sign in as the one that a former start made."""
        client = self.client()
        credentials = {"username": "admin", "password": password}
        required = (await client.get("/api/v1/auth/setup-required")).json()["setup_required"]
        answer = await client.post(f"/api/v1/auth/{'setup' if required else 'login'}", json=credentials)
        answer.raise_for_status()
        self._admin = Account(client, self)

    async def open_account(self, name: str) -> Account:
        """Make an account beside the first; its admin, signed in, is called like it."""
        admin = {"username": name, "password": PASSWORD}
        made = await self.admin.client.post("/api/v1/accounts", json={"name": name, "admin": admin})
        made.raise_for_status()
        client = self.client()
        (await client.post("/api/v1/auth/login", json=admin)).raise_for_status()
        return Account(client, self)

    async def kill(self, name: str) -> None:
        """Kill a service with -9; returns when it is gone."""
        process = self.suite.processes[name]
        process.send(signal.SIGKILL)
        await process.wait()

    async def stop(self, name: str) -> None:
        """Let a service drain and end."""
        await self.suite.processes[name].stop()

    async def start(self, name: str, *, until_ready: bool = True) -> None:
        """Start a service that was killed or stopped."""
        await self.suite.start_service(name)
        if until_ready:
            await self.until_ready(name)

    async def until_ready(self, *names: str, within_s: float = READY_S) -> float:
        """Wait until services (by default all) say that they can do their work; returns for how many seconds."""
        started = time.monotonic()
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            for name in names or self.suite.services:
                said: object = None
                while said != httpx.codes.OK:
                    assert time.monotonic() - started < within_s, f"{name} is not ready: {said}"
                    with contextlib.suppress(httpx.HTTPError):
                        answer = await client.get(f"{self.direct_url(name)}/readyz")
                        said = answer.status_code if answer.is_success else answer.text
                    await asyncio.sleep(0.02)
        return time.monotonic() - started

    def process(self, name: str) -> psutil.Process:
        """The process of a service, `nats` or `postgres`."""
        servers: dict[str, Any] = {"nats": self.suite.nats, "postgres": self.suite.postgres}
        return psutil.Process((servers.get(name) or self.suite.processes[name]).pid)

    async def query(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Ask the database as its superuser."""
        assert self.suite.postgres is not None
        connection = await asyncpg.connect(self.suite.postgres.url, timeout=10)
        try:
            found: list[asyncpg.Record] = await connection.fetch(sql, *arguments)
        finally:
            await connection.close()
        return found

    @contextlib.asynccontextmanager
    async def nats(self, user: str = "admin") -> AsyncIterator[Client]:
        """Connect to NATS as one of its users."""
        assert self.suite.nats is not None
        client = await nats.connect(self.suite.nats.url_for(user), error_cb=_ignored, allow_reconnect=False)
        try:
            yield client
        finally:
            await client.close()

    def issuer(self, name: str = "gateway") -> Issuer:
        """The means to sign identities as the gateway or a service does."""
        made = Installation.open(self.suite.state / "installation.json", [])
        return Issuer(name, made.services[name].private_key)

    def last_lines(self) -> Iterator[tuple[str, str]]:
        """Give the end of every log, by name."""
        for log in sorted([*self.suite.logs.glob("*.log"), *self.suite.state.glob("*/*.log")]):
            yield log.name, "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])

    async def close(self) -> None:
        """Close the clients; the suite is stopped by whoever started it."""
        for client in self._clients:
            await client.aclose()


@contextlib.asynccontextmanager
async def running(folder: Path, *, has_admin: bool = True, **settings: str) -> AsyncIterator[Stack]:
    """Run a whole suite while the block runs; `settings` are further environment variables."""
    given = {"PATH": os.environ["PATH"], **GIVEN, **settings}
    suite = LocalSuite(folder, port=free_port(), in_processes=True, given=given)
    stack = Stack(suite)
    try:
        await suite.start()
        if has_admin:
            await stack.set_up()
        yield stack
    finally:
        await stack.close()
        await suite.stop()


async def _ignored(_: Exception) -> None:
    """Errors are what some tests are after; they see them where they look for them."""
