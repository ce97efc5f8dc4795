"""Messages and handshakes go through the WebSocket proxy as they are."""

import asyncio
import json
import socket

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from gateway.proxy import SocketLimits

from .upstreams import echo


async def test_messages_stay_what_they_are(upstream, front):
    gateway = await front(await upstream(echo))
    async with connect(gateway.url) as caller:
        for message in ("", "text", "über 🦀", b"", b"\x00\xff", "x" * 70_000, b"y" * 300_000):
            await caller.send(message)
            assert await caller.recv() == message
        await caller.send(["frag", "men", "ts"])
        assert await caller.recv() == "fragments"


async def test_fragments_of_the_upstream_become_one_message(upstream, front):
    async def handle(connection):
        await connection.send([b"a", b"b", b"c"])
        await connection.send(["d", "e"])
        await connection.wait_closed()

    gateway = await front(await upstream(handle))
    async with connect(gateway.url) as caller:
        assert await caller.recv() == b"abc"
        assert await caller.recv() == "de"


async def test_many_messages_keep_their_order(upstream, front):
    gateway = await front(await upstream(echo))
    async with connect(gateway.url) as caller:
        for number in range(2000):
            await caller.send(str(number))
        assert [await caller.recv() for _ in range(2000)] == [str(number) for number in range(2000)]


async def test_the_upstreams_pings_are_answered(upstream, front):
    async def handle(connection):
        await (await connection.ping())
        await connection.send("alive")
        await connection.wait_closed()

    gateway = await front(await upstream(handle))
    async with connect(gateway.url) as caller:
        assert await caller.recv() == "alive"


# Handshakes


async def test_handshake_carries_path_and_trusted_headers_only(upstream, front):
    async def handle(connection):
        request = connection.request
        await connection.send(json.dumps([request.path, list(request.headers.raw_items())]))
        await connection.wait_closed()

    gateway = await front(await upstream(handle))
    forged = {"Authorization": "x", "Cookie": "x", "X-Shoal-Identity": "forged", "X_Forwarded_For": "x", "X-Stays": "1"}
    async with connect(gateway.url + "/ws/chat/a%20b?x=1", additional_headers=forged, origin="http://here") as caller:
        path, headers = json.loads(await caller.recv())
    assert path == "/ws/chat/a%20b?x=1"
    names = [name.lower() for name, _ in headers]
    assert not {"authorization", "cookie", "x_forwarded_for", "sec-websocket-extensions"} & set(names)
    assert [value for name, value in headers if name.lower() == "x-shoal-identity"] == ["signed-by-the-gateway"]
    assert {"x-stays", "origin"} <= set(names)
    assert len(names) == len(set(names))


async def test_subprotocol_passes(upstream, front):
    def choose(connection, offered):
        return "base64" if "base64" in offered else None

    gateway = await front(await upstream(echo, select_subprotocol=choose))
    async with connect(gateway.url, subprotocols=["other", "base64"]) as caller:
        assert caller.subprotocol == "base64"
    async with connect(gateway.url) as caller:
        assert caller.subprotocol is None


async def test_a_subprotocol_that_is_a_credential_can_be_kept_back(upstream, front):
    seen = []

    def choose(connection, offered):
        seen.extend(offered)
        return offered[0]

    gateway = await front(await upstream(echo, select_subprotocol=choose))
    gateway.subprotocols = ["bearer"]
    async with connect(gateway.url, subprotocols=["bearer", "secret"]) as caller:
        assert caller.subprotocol == "bearer"
    assert seen == ["bearer"]


async def test_answer_carries_the_gateways_headers(upstream, front):
    gateway = await front(await upstream(echo, server_header="mirror/1"))
    async with connect(gateway.url) as caller:
        assert caller.response.headers["x-request-id"] == "req_1"
        assert "server" not in caller.response.headers
        assert "sec-websocket-extensions" not in caller.response.headers


async def test_the_upstreams_refusal_is_the_callers(upstream, front):
    def refuse(connection, request):
        response = connection.respond(409, "not running\n")
        response.headers["X-Why"] = "stopped"
        return response

    gateway = await front(await upstream(echo, process_request=refuse))
    with pytest.raises(InvalidStatus) as refused:
        await connect(gateway.url).__aenter__()
    response = refused.value.response
    assert (response.status_code, response.body, response.headers["x-why"]) == (409, b"not running\n", "stopped")
    assert response.headers["x-request-id"] == "req_1"


async def refusal(gateway):
    with pytest.raises(InvalidStatus) as refused:
        await connect(gateway.url, proxy=None).__aenter__()
    return refused.value.response.status_code, refused.value.response.body


async def test_an_upstream_that_is_away_is_502_and_then_503(front):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = taken.getsockname()
    gateway = await front(address)
    for _ in range(5):
        assert await refusal(gateway) == (502, b'{"code": "upstream_unreachable"}')
    assert (await refusal(gateway))[0] == 503


async def test_a_frozen_handshake_is_504_in_time(raw, front):
    async def stay(reader, writer):
        await reader.read(1)
        await reader.read()

    gateway = await front((await raw(stay)).address)
    gateway.change(timeout=0.2)
    async with asyncio.timeout(1):
        assert (await refusal(gateway))[0] == 504


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 101 OK\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: wrong\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        b"",
    ],
)
async def test_a_handshake_that_breaks_the_rules_is_502(raw, front, answer):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    gateway = await front((await raw(handle)).address)
    assert (await refusal(gateway))[0] == 502


async def test_a_full_house_is_503(upstream, front):
    gateway = await front(await upstream(echo), sockets=SocketLimits(sockets=1))
    async with connect(gateway.url):
        assert (await refusal(gateway))[0] == 503
