"""A gateway, its first account, somebody who is signed in, and a service behind it that says what it was asked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import asyncpg
import httpx
import msgspec
import pytest_asyncio

from shoal.http.asgi import Message, Receive, Scope, Send
from shoal.http.server import make_server, until_listening
from shoal.service import installed
from shoal.testing.servers import TestDatabases
from shoal.testing.suite import ServiceUnderTest, Suite, free_port

PASSWORD = "correct horse battery"


@pytest_asyncio.fixture
async def database_url(databases: TestDatabases) -> AsyncIterator[str]:
    """A database with the schemas of the services that these tests start."""
    url = await databases.make([installed()[name] for name in ("gateway", "pairing")])
    yield url
    await databases.drop(url)


@pytest_asyncio.fixture
async def echo(suite: Suite) -> AsyncIterator[str]:
    """An agent-runtime that answers every request with what it was asked, and sends every message back."""
    place = suite.announce("agent-runtime")
    async with serving(_echo, place):
        yield place


@pytest_asyncio.fixture
async def hostile(suite: Suite) -> AsyncIterator[None]:
    """An ssh-manager that passes on whatever an instance's page might answer."""
    async with serving(_hostile, suite.announce("ssh-manager")):
        yield


@pytest_asyncio.fixture
async def gateway(suite: Suite, echo: str) -> ServiceUnderTest:
    suite.announce("pairing")  # announced and not there: an owner that cannot be reached
    return await suite.start("gateway")


@pytest_asyncio.fixture
async def outside(gateway: ServiceUnderTest) -> AsyncIterator["Outside"]:
    """Everybody who comes to the gateway's door."""
    everybody = Outside(gateway)
    yield everybody
    await everybody.close()


@pytest_asyncio.fixture
async def admin(outside: "Outside") -> httpx.AsyncClient:
    """The first admin, signed in."""
    client = outside.visitor()
    answer = await client.post("/api/v1/auth/setup", json={"username": "admin", "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    return client


@pytest_asyncio.fixture
async def rows(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """The gateway's rows."""
    connection = await asyncpg.connect(database_url, server_settings={"search_path": "gateway"})
    yield connection
    await connection.close()


class Outside:
    """Makes clients of the gateway, each with a cookie jar of its own, and does for them what many tests need."""

    password = PASSWORD

    def __init__(self, gateway: ServiceUnderTest) -> None:
        self.gateway = gateway
        self._clients: list[httpx.AsyncClient] = []

    async def another_gateway(self, suite: Suite, **settings: str) -> ServiceUnderTest:
        """Start one more gateway on the same database."""
        return await suite.start("gateway", GATEWAY_PORT=str(free_port()), **settings)

    def visitor(
        self, bearer: str | None = None, *, at: ServiceUnderTest | None = None, **headers: str
    ) -> httpx.AsyncClient:
        if bearer is not None:
            headers["authorization"] = f"Bearer {bearer}"
        client = httpx.AsyncClient(base_url=(at or self.gateway).url, headers=headers, timeout=20, trust_env=False)
        self._clients.append(client)
        return client

    async def sign_in(self, client: httpx.AsyncClient, username: str, password: str = PASSWORD) -> httpx.Response:
        return await client.post("/api/v1/auth/login", json={"username": username, "password": password})

    async def add_user(self, admin: httpx.AsyncClient, username: str, **fields: str) -> str:
        """Make a user of the admin's account; returns the id."""
        body = {"username": username, "password": PASSWORD} | fields
        answer = await admin.post("/api/v1/users", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def add_key(self, client: httpx.AsyncClient, name: str = "program") -> tuple[str, str]:
        """Make an API key; returns id and secret."""
        answer = await client.post("/v1/api-keys", json={"name": name})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"], answer.json()["api_key"]

    async def add_account(self, admin: httpx.AsyncClient, name: str) -> tuple[str, httpx.AsyncClient]:
        """Make an account; returns the id, and its admin signed in."""
        first = {"username": f"{name}-admin", "password": PASSWORD, "email": f"{name}@example.com"}
        answer = await admin.post("/api/v1/accounts", json={"name": name, "admin": first})
        assert answer.status_code == 201, answer.text
        client = self.visitor()
        assert (await self.sign_in(client, f"{name}-admin")).status_code == 200
        return answer.json()["id"], client

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()


@contextlib.asynccontextmanager
async def serving(app: Callable[..., object], place: str) -> AsyncIterator[None]:
    """Serve an application at an address while the block runs."""
    host, _, port = place.rpartition(":")
    server = make_server(app, host=host, port=int(port), drain_timeout_s=1)  # type: ignore[arg-type]
    task = asyncio.create_task(server.serve())
    await until_listening(server, task)
    try:
        yield
    finally:
        server.should_exit = True
        await task


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await _echo_socket(scope, receive, send)
        return
    message: Message = {"more_body": True}
    body = b""
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
    told = {"method": scope["method"], "path": scope["raw_path"].decode(), "headers": headers, "body": len(body)}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    if scope["path"].endswith("/endless"):
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await receive()
        return
    await send({"type": "http.response.body", "body": msgspec.json.encode(told)})


async def _echo_socket(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    await send({"type": "websocket.send", "text": msgspec.json.encode(headers).decode()})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("text") is not None:
            await send({"type": "websocket.send", "text": message["text"]})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})


async def _hostile(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": msgspec.json.encode(headers).decode()})
        await receive()
        return
    answer = [
        (b"content-type", b"application/json"),
        (b"set-cookie", b"shoal_session=stolen; Path=/"),
        (b"clear-site-data", b'"cookies"'),
        (b"service-worker-allowed", b"/"),
        (b"referrer-policy", b"unsafe-url"),
        (b"content-security-policy", b"default-src 'self'"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": answer})
    await send({"type": "http.response.body", "body": msgspec.json.encode(headers)})
