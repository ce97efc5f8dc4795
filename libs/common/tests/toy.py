"""A service small enough to see through, and what these tests do with it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import httpx
from litestar import Controller, get
from msgspec import Struct

from shoal.config import ServiceConfig
from shoal.database import Transaction
from shoal.http.app import create_app
from shoal.identity import Issuer, Principal, Via
from shoal.installation import Installation
from shoal.resources import Resources
from shoal.runtime import RunningService, running
from shoal.service import Built, Service
from shoal.testing.suite import free_port
from shoal_events import PairingRenamed


class Note(Struct, frozen=True):
    id: str
    body: str = ""
    version: int = 1


class HelloController(Controller):
    @get("/hello")
    async def hello(self) -> dict[str, str]:
        return {"hello": "there"}


def build(resources: Resources[ServiceConfig]) -> Built:
    app = create_app(resources, controllers=[HelloController], dependencies={})
    return Built(app=app, described=app.inside)


STEPS = Path(__file__).with_name("steps")


def toy_service(build: Callable[[Resources[ServiceConfig]], Built] = build, *, steps: Path = STEPS) -> Service:
    return Service(name="toy", port=0, config=ServiceConfig, migrations=steps, build=build, about="a toy")


TOY = toy_service()


def renamed(pairing_id: str = "pair_1", name: str = "x", version: int = 1) -> PairingRenamed:
    """A fact to publish."""
    return PairingRenamed(pairing_id=pairing_id, account_id="acct_1", name=name, version=version)


async def keep(tx: Transaction, fact: PairingRenamed) -> None:
    """Note every name that a pairing ever had, in order: what a handler of facts does here."""
    await tx.execute(
        """
        insert into note (id, body) values ($1, $2)
            on conflict (id) do update set body = note.body || ' ' || excluded.body, version = note.version + 1
        """,
        *(fact.pairing_id, fact.name),
    )


async def until(holds: Callable[[], object], *, within_s: float = 5.0) -> None:
    """Poll until something is true, awaiting it if it must be awaited."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        answer = holds()
        if isinstance(answer, Awaitable):
            answer = await answer
        if answer:
            return
        assert loop.time() < deadline, f"not within {within_s} s"
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def at_work(*works: Awaitable[object]) -> AsyncIterator[Sequence["asyncio.Future[object]"]]:
    """Run components while the block runs; a cancelled one must end at once."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks, return_exceptions=True)


# a service at work


def environment_of(
    credentials: Installation, *, database_url: str = "", nats_url: str = "", services: str = "{}"
) -> dict[str, str]:
    """Write the toy's variables; without servers there is nothing behind its door."""
    environment = credentials.environment(
        admin_url=database_url or "postgresql://nobody:nothing@127.0.0.1:1/none",
        nats_url=lambda _: nats_url or "nats://127.0.0.1:1",
        addresses={},
    )
    return environment | {"SHOAL_SERVICES": services, "SHOAL_DRAIN_TIMEOUT": "1s", "TOY_PORT": str(free_port())}


class Door:
    """A running toy and clients to it under any identity."""

    def __init__(self, running: RunningService, credentials: Installation) -> None:
        self.running = running
        self.url = f"http://127.0.0.1:{running.address[1]}"
        self.gateway = Issuer("gateway", credentials.services["gateway"].private_key)
        self.anonymous = httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=10)
        self.client = httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=10, headers=self.headers())

    def headers(self, principal: Principal | None = None) -> dict[str, str]:
        principal = principal or Principal(via=Via.SESSION, account_id="acct_1", user_id="user_1")
        return {"x-shoal-identity": self.gateway.issue(principal, audience="toy")}


@contextlib.asynccontextmanager
async def open_door(
    service: Service, credentials: Installation, environment: dict[str, str] | None = None
) -> AsyncIterator[Door]:
    """Run a service while the block runs."""
    async with running([service], environment or environment_of(credentials)) as (one,):
        door = Door(one, credentials)
        async with door.client, door.anonymous:
            yield door
