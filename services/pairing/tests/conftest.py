"""Fixtures come from shoal.testing; here is a small world of accounts that want to connect."""

import base64
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest_asyncio

from shoal.identity import Issuer, Principal, Role, Via
from shoal.service import installed
from shoal.testing.servers import TestDatabases
from shoal.testing.suite import ServiceUnderTest, Suite, eventually, user
from shoal_events import AccountCreated, UserCreated

from .scenes import Scene, connected


@pytest_asyncio.fixture
async def database_url(databases: TestDatabases) -> AsyncIterator[str]:
    """A database with the schemas of the services that these tests start."""
    url = await databases.make([installed()[name] for name in ("gateway", "pairing")])
    yield url
    await databases.drop(url)


@pytest_asyncio.fixture
async def pairing(suite: Suite) -> ServiceUnderTest:
    return await suite.start("pairing")


@pytest_asyncio.fixture
async def world(suite: Suite, pairing: ServiceUnderTest) -> "World":
    return World(suite, pairing)


@pytest_asyncio.fixture
async def make_world(suite: Suite) -> "Callable[..., Awaitable[World]]":
    """Make a world whose service is set up otherwise."""

    async def make(**settings: str) -> World:
        return World(suite, await suite.start("pairing", **settings))

    return make


@pytest_asyncio.fixture
async def scene(world: "World") -> Scene:
    return await connected(world)


class Side:
    """An account: its user signed in, its API key, its agents' keys."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.account_id = f"acct_{name}"
        self.email = f"{name}@example.com"
        self.session = world.pairing.client(user(self.account_id, f"user_{name}", role=Role.ADMIN))
        self.key = world.pairing.client(user(self.account_id, f"user_{name}", via=Via.API_KEY))

    async def ask(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        """Ask with the account's key; fails unless the answer has the status and is JSON."""
        answer = await self.key.request(method, f"/v1{path}", json=body)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def register(self, slug: str = "", *, available: bool = True, connected: bool = True) -> str:
        """Register an agent; returns its UUID."""
        body = {"agent_id": slug or f"agent-{uuid4().hex[:8]}", "available_for_connections": available}
        registered = await self.ask(
            "POST", "/agents/register", body | ({"public_key": public_key()} if connected else {}), status=201
        )
        return str(registered["id"])

    async def connect(self, other: "Side") -> str:
        """Connect with another account, who accepts; returns the connection."""
        connection = await self.ask("POST", "/connections", {"email": other.email}, status=201)
        await other.ask("POST", f"/connections/{connection['id']}/accept")
        return str(connection["id"])

    async def can_send(self, mine: str, theirs: str) -> tuple[bool, bool]:
        told = await self.ask("GET", f"/agents/{mine}/can-send?to={theirs}")
        return told["can_send"], told["can_receive"]

    async def agent_client(self, agent: str) -> tuple[str, httpx.AsyncClient]:
        """Make a key for an agent and a client that comes with it; returns the key's id too."""
        key = await self.ask("POST", f"/agents/{agent}/keys", {"name": "test"}, status=201)
        return key["id"], self.world.pairing.client(await self.world.resolve(key["api_key"]))


class World:
    """A pairing service and the accounts that it has been told of."""

    def __init__(self, suite: Suite, pairing: ServiceUnderTest) -> None:
        self.suite = suite
        self.pairing = pairing

    async def meet(self, *names: str) -> list[Side]:
        """Tell the service of accounts, as the gateway does."""
        return [await self._tell(Side(self, name)) for name in names]

    def side(self, name: str) -> Side:
        """Make an account that the service has not been told of."""
        return Side(self, name)

    async def tell_account(self, account_id: str, *, name: str, plan: str = "", version: int = 1) -> None:
        told = AccountCreated(account_id=account_id, name=name, plan=plan, version=version)
        await self.suite.publish(told, event_id=str(uuid4()))

    async def tell_user(self, account_id: str, email: str, *, name: str = "", version: int = 1) -> None:
        await self.suite.publish(
            UserCreated(
                user_id=f"user_{name or email.partition('@')[0]}",
                account_id=account_id,
                username=name or email,
                email=email,
                role="admin",
                version=version,
            ),
            event_id=str(uuid4()),
        )

    def as_service(self, name: str) -> httpx.AsyncClient:
        issuer = Issuer(name, self.suite.installation.services[name].private_key)
        client = self.pairing.client()
        client.headers["x-shoal-identity"] = issuer.issue_own(audience="pairing")
        return client

    async def resolve(self, credential: str) -> Principal:
        """Ask whose credential this is, as the gateway does."""
        answer = await self.as_service("gateway").post("/internal/principal", json={"credential": credential})
        assert answer.status_code == 200, answer.text
        return Principal(**answer.json() | {"via": Via(answer.json()["via"])})

    async def _tell(self, side: Side) -> Side:
        await self.tell_account(side.account_id, name=side.account_id.removeprefix("acct_").title())
        await self.tell_user(side.account_id, side.email)

        async def is_known() -> bool:
            return bool((await side.ask("GET", "/agents/me"))["account"]["email"] == side.email)

        await eventually(is_known)
        return side


def public_key() -> str:
    """Make what looks like an X25519 public key."""
    return base64.b64encode(os.urandom(32)).decode()
