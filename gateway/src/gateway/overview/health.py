"""How the suite is: every service's readiness, asked at once, in a second at most, and kept for a second."""

import asyncio
import importlib.metadata
import os
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import msgspec
from msgspec import Struct

from shoal.database import Database, DatabaseUnavailableError

ASK_S = 0.8
KEEP_S = 1.0


class Readiness(Struct, frozen=True):
    """What a service says at `/readyz`; `details` are numbers and words that summaries show."""

    ready: bool
    checks: dict[str, str] = {}
    details: dict[str, str | int] = {}


class Summary(Struct, frozen=True):
    """The suite at one moment."""

    is_database_there: bool
    services: dict[str, str]
    """By name: `ready`, `not ready: …` or `unreachable`."""
    details: dict[str, str | int]

    @property
    def status(self) -> str:
        """One word: healthy, degraded or down."""
        if not self.is_database_there:
            return "down"
        return "healthy" if all(state == "ready" for state in self.services.values()) else "degraded"


class Process(Struct, frozen=True):
    """This process at one moment."""

    version: str
    uptime_s: int
    memory_mb: float


class SuiteHealth:
    """Asks every service how it is."""

    def __init__(self, *, addresses: Mapping[str, str], database: Database, client: httpx.AsyncClient) -> None:
        self._addresses = {name: place for name, place in addresses.items() if name != "gateway"}
        self._database = database
        self._client = client
        self._kept: tuple[float, Summary] | None = None
        self._turn = asyncio.Lock()
        self._started = time.monotonic()

    def process(self) -> Process:
        """Tell how this process is."""
        return Process(version=_version(), uptime_s=int(time.monotonic() - self._started), memory_mb=_memory_mb())

    async def summary(self) -> Summary:
        """Tell how the suite is."""
        async with self._turn:
            if self._kept is None or time.monotonic() - self._kept[0] > KEEP_S:
                self._kept = (time.monotonic(), await self._look())
            return self._kept[1]

    async def _look(self) -> Summary:
        names = list(self._addresses)
        is_database_there, answers = await asyncio.gather(
            self._is_database_there(), asyncio.gather(*(self._ask(self._addresses[name]) for name in names))
        )
        services = dict(zip(names, (_word(answer) for answer in answers), strict=True))
        details: dict[str, str | int] = {}
        for answer in answers:
            details |= {} if answer is None else answer.details
        return Summary(is_database_there, services, details)

    async def _is_database_there(self) -> bool:
        try:
            async with asyncio.timeout(ASK_S):
                await self._database.ping()
        except (DatabaseUnavailableError, TimeoutError):
            return False
        return True

    async def _ask(self, place: str) -> Readiness | None:
        try:
            async with asyncio.timeout(ASK_S):
                response = await self._client.get(f"http://{place}/readyz")
            return msgspec.json.decode(response.content, type=Readiness)
        except (httpx.HTTPError, TimeoutError, msgspec.DecodeError):
            return None


def _version() -> str:
    """Tell the version of this distribution."""
    return importlib.metadata.version("shoal-gateway")


def _memory_mb() -> float:
    """Tell how much memory this process has, in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def _word(readiness: Readiness | None) -> str:
    if readiness is None:
        return "unreachable"
    if readiness.ready:
        return "ready"
    return "not ready: " + "; ".join(f"{name}: {answer}" for name, answer in readiness.checks.items() if answer != "ok")
