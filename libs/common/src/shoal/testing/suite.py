"""Services at work in a test, in front of real servers, and the facts they publish."""

import asyncio
import contextlib
import secrets
import socket
import ssl
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
import nats
from nats.aio.client import Client
from nats.js.api import DeliverPolicy

from shoal.identity import HEADER, Issuer, Principal, Role, Via
from shoal.installation import Installation
from shoal.runtime import RunningService
from shoal.service import installed
from shoal.testing.servers import TestDatabases
from shoal_events import Event

E = TypeVar("E", bound=Event)
DEADLINE_S = 5.0
_READY_S = 20.0
"""A service that starts on a busy machine is no failure of the test's."""
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Nothing here speaks TLS, and to read all authorities of the machine takes longer than many a test."""


class ServiceUnderTest:
    """A running service and clients to it under any identity."""

    def __init__(self, running: RunningService, gateway: Issuer) -> None:
        self.running = running
        self.url = f"http://{running.address[0]}:{running.address[1]}"
        self._gateway = gateway
        self._clients: list[httpx.AsyncClient] = []

    def token(self, principal: Principal) -> str:
        """Sign a principal as the gateway does."""
        return self._gateway.issue(principal, audience=self.running.service.name)

    def client(self, principal: Principal | None = None) -> httpx.AsyncClient:
        """Make a client that asks as a principal; as nobody in particular without one."""
        headers = {HEADER.decode(): self.token(principal or Principal())}
        client = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=20, trust_env=False, verify=_NO_TLS)
        self._clients.append(client)
        return client

    async def close(self) -> None:
        """Close clients, then the service."""
        for client in self._clients:
            await client.aclose()
        await self.running.stop()


class Suite:
    """Everything one test needs."""

    def __init__(
        self, *, databases: TestDatabases, database_url: str, nats_url: str, installation: Installation
    ) -> None:
        self.databases = databases
        self.database_url = database_url
        self.nats_url = nats_url
        self.installation = installation
        self.gateway = Issuer("gateway", installation.services["gateway"].private_key)
        self._running: list[ServiceUnderTest] = []
        self._addresses: dict[str, str] = {}
        self._seen: list[Event] = []
        self._bus: Client | None = None

    async def start(self, name: str, *, until_ready: bool = True, **settings: str) -> ServiceUnderTest:
        """Start a service, with further environment variables; waits until it is ready."""
        environment = self.environment() | settings
        prefix = name.replace("-", "_").upper()
        port = environment.get(f"{prefix}_PORT") or str(free_port())
        running = RunningService(installed()[name], environment | {f"{prefix}_PORT": port})
        await running.start()
        service = ServiceUnderTest(running, self.gateway)
        self._running.append(service)
        self._addresses.setdefault(name, f"127.0.0.1:{port}")
        if until_ready:
            await eventually(
                lambda: running.resources.health.readiness().ready,
                running.resources.health.readiness,
                within_s=_READY_S,
            )
        return service

    def announce(self, name: str) -> str:
        """Fix the address of a service before it is started, so that others can be told of it."""
        return self._addresses.setdefault(name, f"127.0.0.1:{free_port()}")

    def environment(self) -> dict[str, str]:
        """Write the variables of every service of this suite."""
        return self.installation.environment(
            admin_url=self.database_url, nats_url=lambda _: self.nats_url, addresses=self._addresses
        ) | {"SHOAL_LOG_LEVEL": "warning", "SHOAL_DRAIN_TIMEOUT": "2s"}

    async def bus(self) -> Client:
        """Give a NATS connection that may do anything."""
        if self._bus is None:
            self._bus = await nats.connect(self.nats_url)
        return self._bus

    async def publish(self, event: Event, *, event_id: str) -> None:
        """Publish a fact as another service's relay would."""
        jetstream = (await self.bus()).jetstream()
        await jetstream.publish(
            event.subject,
            event.to_json(),
            headers={
                "Nats-Msg-Id": event_id,
                "ce-id": event_id,
                "ce-type": event.event_type,
                "ce-source": event.source,
                "ce-time": "2026-01-01T00:00:00Z",
                "ce-specversion": "1.0",
            },
        )

    async def events(self, kind: type[E], *, count: int = 1, within_s: float = DEADLINE_S) -> list[E]:
        """Wait until at least `count` facts of a kind were published; returns all of that kind, oldest first."""
        found: list[E] = []

        async def enough() -> bool:
            found[:] = await self._published(kind)
            return len(found) >= count

        await eventually(enough, lambda: found, within_s=within_s)
        return found

    async def _published(self, kind: type[E]) -> list[E]:
        jetstream = (await self.bus()).jetstream()
        subscription = await jetstream.subscribe(
            f"{kind.subject_prefix}.>",
            stream="EVENTS",
            ordered_consumer=True,
            deliver_policy=DeliverPolicy.ALL,
        )
        found: list[E] = []
        with contextlib.suppress(TimeoutError):
            while True:
                message = await subscription.next_msg(timeout=0.1)
                found.append(kind.from_json(message.data))
        await subscription.unsubscribe()
        return found

    async def stop(self, service: ServiceUnderTest) -> None:
        """Stop one service."""
        self._running.remove(service)
        await service.close()

    async def close(self) -> None:
        """Stop everything."""
        for service in reversed(self._running):
            await service.close()
        if self._bus is not None:
            await self._bus.close()


async def eventually(
    holds: Callable[[], Any], show: Callable[[], Any] | None = None, *, within_s: float = DEADLINE_S
) -> None:
    """Wait until something holds; fails with what was seen last when it does not in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        answer = holds()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return
        assert loop.time() < deadline, f"did not come true within {within_s} s: {show() if show else holds}"
        await asyncio.sleep(0.02)


def user(
    account_id: str = "acct_1", user_id: str = "user_1", *, role: Role = Role.USER, via: Via = Via.SESSION, **rest: str
) -> Principal:
    """Make a signed-in user."""
    return Principal(
        via=via,
        account_id=account_id,
        user_id=user_id,
        username=user_id,
        role=role,
        credential_id="login_1",
        source="127.0.0.1",
        **rest,
    )


def free_port() -> int:
    """Find a port that nobody listens on, below those that kernels lend to clients and that may be gone at once."""
    for _ in range(100):
        port = secrets.choice(range(20_000, 30_000))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("a hundred ports are taken")
