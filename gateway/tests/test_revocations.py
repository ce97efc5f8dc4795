"""Whatever ends a credential cuts off what came in with it, in every replica."""

import asyncio

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from shoal.identity import HEADER
from shoal.testing.suite import Suite, eventually
from shoal_events import PairingDeleted


async def is_refused(client: httpx.AsyncClient, path: str = "/api/agents") -> bool:
    return (await client.get(path)).status_code == 401


async def test_revoked_key_is_refused_by_every_replica_within_five_seconds(
    outside, admin: httpx.AsyncClient, suite: Suite
) -> None:
    other = await outside.another_gateway(suite)
    key_id, key = await outside.add_key(admin)
    here, there = outside.visitor(key), outside.visitor(key, at=other)
    for client in (here, there):
        assert (await client.get("/api/agents")).status_code == 200
    await admin.delete(f"/v1/api-keys/{key_id}")
    assert await is_refused(here)  # at once where it was revoked
    await eventually(lambda: is_refused(there), within_s=5)


async def test_demoted_admin_is_none_in_every_replica(outside, admin: httpx.AsyncClient, suite: Suite) -> None:
    other = await outside.another_gateway(suite)
    bob_id, bob = await outside.add_user(admin, "bob", role="admin"), outside.visitor(at=other)
    await outside.sign_in(bob, "bob")
    assert (await bob.get("/api/v1/users")).status_code == 200
    await admin.put(f"/api/v1/users/{bob_id}/role", json={"role": "user"})

    async def is_forbidden() -> bool:
        return (await bob.get("/api/v1/users")).status_code == 403

    await eventually(is_forbidden, within_s=5)


async def test_open_socket_is_cut_when_its_key_is_revoked(outside, admin: httpx.AsyncClient, suite: Suite) -> None:
    other = await outside.another_gateway(suite)
    key_id, key = await outside.add_key(admin)
    url = other.url.replace("http", "ws") + "/ws"
    async with connect(url, additional_headers={"authorization": f"Bearer {key}"}, proxy=None) as socket:
        await socket.recv()
        await admin.delete(f"/v1/api-keys/{key_id}")
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_open_stream_is_cut_when_its_login_ends(outside, admin: httpx.AsyncClient, suite: Suite) -> None:
    other = await outside.another_gateway(suite)
    client = outside.visitor(admin.cookies["shoal_session"], at=other)
    async with client.stream("GET", "/api/endless") as answer:
        parts = answer.aiter_raw()
        assert await anext(parts) == b"data: 1\n\n"
        await admin.post("/api/v1/auth/logout")
        with pytest.raises((httpx.RemoteProtocolError, StopAsyncIteration)):
            await asyncio.wait_for(anext(parts), 5)


async def test_agents_credential_is_forgotten_when_its_pairing_ends(
    outside, admin: httpx.AsyncClient, suite: Suite
) -> None:
    await suite.start("pairing")
    opened = (await admin.post("/pairing/init", json={"name": "x"})).json()
    confirmed = (await admin.post("/pairing/confirm", json={"token": opened["token"], "agent_id": "agent_1"})).json()
    agent = outside.visitor(confirmed["telemetry_token"])
    assert (await agent.get("/telemetry/ingest")).status_code == 503  # nobody is behind it, but the agent is known
    await admin.delete(f"/pairing/{confirmed['pairing_id']}")
    await suite.events(PairingDeleted)
    await eventually(lambda: is_refused(agent, "/telemetry/ingest"), within_s=5)


async def test_credentials_are_known_only_briefly_while_revocations_are_not_heard(
    outside, admin: httpx.AsyncClient, suite: Suite, rows
) -> None:
    deaf = await suite.start("gateway", until_ready=False, GATEWAY_PORT="18999", GATEWAY_NATS_URL="nats://127.0.0.1:1")
    key_id, key = await outside.add_key(admin)
    client = outside.visitor(key, at=deaf)
    assert (await client.get("/api/agents")).status_code == 200
    await rows.execute("update api_key set revoked_at = now() where id = $1", key_id)
    await eventually(lambda: is_refused(client), within_s=5)


async def test_identity_is_signed_once_for_many_requests(outside, admin: httpx.AsyncClient) -> None:
    async def token() -> str:
        seen = dict((await admin.get("/api/agents")).json()["headers"])
        return str(seen[HEADER.decode()])

    assert len({await token() for _ in range(10)}) == 1
