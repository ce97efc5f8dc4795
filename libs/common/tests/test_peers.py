"""Calls between services: under one's own name, in time, and never "not found" for "not reached"."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import pytest_asyncio
import structlog
from litestar import Controller, Request, get, post
from msgspec import Struct

from shoal.config import ServiceConfig
from shoal.errors import NotFoundError
from shoal.http.app import create_app
from shoal.identity import Issuer, Principal, Verifier
from shoal.installation import Installation
from shoal.peers import Peers, PeerUnavailableError
from shoal.resources import Resources
from shoal.service import Built
from shoal.telemetry import Tracing

from .toy import Door, open_door, toy_service

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Found(Struct):
    id: str


class InternalController(Controller):
    @post("/internal/principal", status_code=200)
    async def principal(self, data: dict[str, str]) -> Found:
        if data["credential"] == "unknown":
            raise NotFoundError
        return Found(data["credential"])

    @get("/internal/export")
    async def export(self, after: str, limit: int) -> dict[str, str]:
        return {"id": f"{after}/{limit}"}

    @get("/internal/told")
    async def told(self, request: Request, principal: Principal) -> dict[str, str]:  # type: ignore[type-arg]
        return {"caller": principal.service} | {
            name: request.headers.get(name, "") for name in ("x-request-id", "traceparent")
        }


def build(resources: Resources[ServiceConfig]) -> Built:
    app = create_app(resources, controllers=[InternalController], dependencies={})
    return Built(app=app, described=app.inside)


@pytest_asyncio.fixture
async def door(credentials: Installation) -> AsyncIterator[Door]:
    async with open_door(toy_service(build), credentials) as opened:
        yield opened


@contextlib.asynccontextmanager
async def peers_at(address: str, credentials: Installation, *, deadline_s: float = 5) -> AsyncIterator[Peers]:
    issuer = Issuer("pairing", credentials.services["pairing"].private_key)
    client = httpx.AsyncClient(timeout=httpx.Timeout(5, connect=1), trust_env=False)
    made = Peers({"toy": address}, issuer=issuer, client=client, deadline_s=deadline_s)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def peers(door: Door, credentials: Installation) -> AsyncIterator[Peers]:
    async with peers_at(door.url.removeprefix("http://"), credentials) as made:
        yield made


@contextlib.asynccontextmanager
async def odd_server(answer: Callable[[asyncio.StreamWriter], "asyncio.Future[None] | object"]) -> AsyncIterator[str]:
    """Lend the address of a server that answers in its own way."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            outcome = answer(writer)
            if asyncio.iscoroutine(outcome):
                await outcome
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_answer_comes_as_the_type_asked_for(peers: Peers) -> None:
    assert await peers.get("toy", "/internal/export", Found, after="a", limit=3) == Found("a/3")
    assert await peers.find("toy", "/internal/principal", {"credential": "key"}, Found) == Found("key")


async def test_unknown_is_none(peers: Peers) -> None:
    assert await peers.find("toy", "/internal/principal", {"credential": "unknown"}, Found) is None


async def test_call_carries_the_callers_own_identity_request_and_trace(peers: Peers) -> None:
    structlog.contextvars.bind_contextvars(request_id="r1")
    with Tracing("toy", environment={}).span("x", parent=TRACE):
        told = await peers.get("toy", "/internal/told", dict[str, str])
    structlog.contextvars.clear_contextvars()
    assert told == {"caller": "pairing", "x-request-id": "r1", "traceparent": TRACE}
    told = await peers.get("toy", "/internal/told", dict[str, str])
    assert told["traceparent"] == ""


async def test_not_found_is_unavailable_where_nothing_may_be_missing(peers: Peers) -> None:
    with pytest.raises(PeerUnavailableError, match="404"):
        await peers.get("toy", "/internal/nowhere", Found)


async def test_refusal_is_unavailable_never_none(door: Door, credentials: Installation) -> None:
    issuer = Issuer("pairing", credentials.services["gateway"].private_key)  # signed with another's key
    client = httpx.AsyncClient(trust_env=False)
    made = Peers({"toy": door.url.removeprefix("http://")}, issuer=issuer, client=client)
    with pytest.raises(PeerUnavailableError, match="401"):
        await made.find("toy", "/internal/principal", {"credential": "key"}, Found)
    await made.close()


async def test_answer_of_another_shape_is_unavailable(peers: Peers) -> None:
    with pytest.raises(PeerUnavailableError, match="cannot read"):
        await peers.get("toy", "/internal/told", Found)


async def test_peer_without_an_address_is_unavailable(peers: Peers) -> None:
    with pytest.raises(PeerUnavailableError, match="gateway is not configured"):
        await peers.get("gateway", "/internal/export", Found)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:80", "not a host:80", "[::1"])
async def test_peer_that_is_not_there_is_unavailable_at_once(address: str, credentials: Installation) -> None:
    async with peers_at(address, credentials) as made:
        started = time.monotonic()
        with pytest.raises(PeerUnavailableError) as refused:
            await made.get("toy", "/internal/export", Found)
        assert time.monotonic() - started < 3
        assert (refused.value.status, refused.value.code) == (503, "upstream_unavailable")


async def test_peer_that_says_nothing_is_unavailable_by_the_deadline(credentials: Installation) -> None:
    async with (
        odd_server(lambda _: asyncio.sleep(30)) as address,
        peers_at(address, credentials, deadline_s=0.3) as made,
    ):
        started = time.monotonic()
        with pytest.raises(PeerUnavailableError):
            await made.get("toy", "/internal/export", Found)
        assert time.monotonic() - started < 2


async def test_peer_that_drips_is_unavailable_by_the_deadline(credentials: Installation) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with odd_server(drip) as address, peers_at(address, credentials, deadline_s=0.4) as made:
        started = time.monotonic()
        with pytest.raises(PeerUnavailableError):
            await made.get("toy", "/internal/export", Found)
        assert time.monotonic() - started < 2


@pytest.mark.parametrize("answer", [b"", b"rubbish\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx"])
async def test_broken_answer_is_unavailable(credentials: Installation, answer: bytes) -> None:
    async with odd_server(lambda writer: writer.write(answer)) as address, peers_at(address, credentials) as made:
        with pytest.raises(PeerUnavailableError):
            await made.get("toy", "/internal/export", Found)


async def test_verifier_of_the_peer_takes_what_the_caller_signs(credentials: Installation) -> None:
    token = Issuer("pairing", credentials.services["pairing"].private_key).issue_own(audience="toy")
    keys = {name: one.public_key for name, one in credentials.services.items()}
    assert Verifier("toy", keys).verify(token).service == "pairing"
