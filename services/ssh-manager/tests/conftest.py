"""Fixtures come from shoal.testing; here is a place for the ways into instances."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from bot import Bot
from ssh_door import Door, Open, Place

from shoal.service import installed
from shoal.testing.servers import TestDatabases
from shoal.testing.sshd import Sshd
from shoal.testing.suite import Suite

QUICK = {
    "SSH_MANAGER_LEASE_TTL": "2s",
    "SSH_MANAGER_MAX_PAUSE": "500ms",
    "SSH_MANAGER_CONNECT_TIMEOUT": "3s",
    "SSH_MANAGER_ROTATION_PATIENCE": "3s",
}


@pytest_asyncio.fixture
async def database_url(databases: TestDatabases) -> AsyncIterator[str]:
    """A database with the schemas of the services that these tests start."""
    url = await databases.make([installed()[name] for name in ("gateway", "instance-orchestrator", "ssh-manager")])
    yield url
    await databases.drop(url)


@pytest_asyncio.fixture
async def open_door(suite: Suite, tmp_path: Path) -> Open:
    """Start the service, whose copy of the fleet counts as complete; the test tells it of instances."""

    async def make(**settings: str) -> Door:
        door = Door(suite, {"SHOAL_STATE": str(tmp_path / "state")} | QUICK | settings)
        await door.fill_copy()
        await door.start()
        return door

    return make


@pytest_asyncio.fixture
async def door(open_door: Open) -> Door:
    """The service with the usual settings."""
    return await open_door()


@pytest_asyncio.fixture
async def sshd(tmp_path: Path) -> AsyncIterator[Sshd]:
    """A real SSH server."""
    server = Sshd(tmp_path / "sshd")
    await server.start()
    yield server
    await server.kill()


@pytest_asyncio.fixture
async def place(door: Door, sshd: Sshd) -> Place:
    """An instance behind that server, connected."""
    place = Place(door, sshd)
    await place.appear()
    await place.until_state("connected")
    return place


@pytest_asyncio.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    """An instance with pages of its own."""
    made = Bot(tmp_path / "bot")
    await made.start()
    yield made
    await made.close()


@pytest_asyncio.fixture
async def make_place(bot: Bot) -> Callable[..., Awaitable[Place]]:
    """Have the service connect to that instance, as one of several perhaps."""

    async def make(door: Door, *, number: int = 1) -> Place:
        place = Place(door, bot, number=number, name=f"bot-{number}")
        await place.appear()
        await place.until_state("connected")
        return place

    return make


@pytest_asyncio.fixture
async def bot_place(door: Door, make_place: Callable[..., Awaitable[Place]]) -> Place:
    """That instance, connected."""
    return await make_place(door)
