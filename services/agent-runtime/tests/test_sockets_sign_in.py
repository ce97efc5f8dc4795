"""Signing in by the first frame, beside the gateway that owns callers' credentials."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest_asyncio
from runtime_door import Door
from runtime_sockets import wire

from shoal.service import installed
from shoal.testing.suite import Suite, eventually


@contextlib.asynccontextmanager
async def nobody_at(url: str) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """Hang up on whoever calls an address; lists the calls."""
    calls: list[asyncio.StreamWriter] = []

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(writer)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", httpx.URL(url).port):
        yield calls


@pytest_asyncio.fixture
async def beside_a_gateway(suite: Suite, tmp_path: Any, databases: Any, installation: Any) -> AsyncIterator[Any]:
    """The service beside the gateway that owns its callers' credentials."""
    url = await databases.make([installed()[name] for name in ("gateway", "agent-runtime")])
    made = Suite(databases=databases, database_url=url, nats_url=suite.nats_url, installation=installation)
    made.announce("gateway")
    runtime = await made.start(
        "agent-runtime", SHOAL_STATE=str(tmp_path), AGENT_RUNTIME_SOCKET_REVALIDATE_EVERY="300ms"
    )
    gateway = await made.start("gateway")
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        first = {"username": "admin", "password": "correct horse battery"}
        assert (await client.post("/api/v1/auth/setup", json=first)).status_code == 201
        yield runtime, client, Door(made, runtime, tmp_path)
    await made.close()
    await databases.drop(url)


async def test_first_frame_signs_in_and_its_credential_is_looked_at_again(beside_a_gateway: Any) -> None:
    runtime, client, door = beside_a_gateway
    token = (await client.post("/api/auth/token")).json()["token"]
    key = (await client.post("/api/v1/api-keys", json={"name": "program"})).json()["api_key"]
    async with wire(runtime) as by_token, wire(runtime) as by_key, wire(runtime) as by_nothing:
        for page, secret in ((by_token, token), (by_key, key)):
            assert (await page.ask({"type": "auth", "token": secret}, "auth_success"))["user_id"]
            await page.hear("connected")
        assert (await by_token.ask({"type": "auth", "token": key}, "auth_success"))["user_id"]
        refused = await by_nothing.ask({"type": "auth", "token": "clawft_nobody"}, "auth_error")
        assert refused["code"] == "invalid_token"
        assert await by_nothing.closed() == 4401
        await door.sql("update gateway.api_key set revoked_at = now()")
        assert await by_key.closed() == 4401
        await by_token.heard_until_pong()


async def test_owner_of_credentials_that_is_away_is_not_taken_for_a_no(beside_a_gateway: Any) -> None:
    runtime, client, door = beside_a_gateway
    token = (await client.post("/api/auth/token")).json()["token"]
    async with wire(runtime) as page:
        await page.ask({"type": "auth", "token": token}, "auth_success")
        gateway = next(one for one in door.suite._running if one.running.service.name == "gateway")
        await door.suite.stop(gateway)
        async with wire(runtime) as late:
            await late.say({"type": "auth", "token": token})
            assert await late.closed() == 1013
        async with nobody_at(gateway.url) as asked:
            await eventually(lambda: len(asked) > 2)  # the first look is over when another begins
            await page.heard_until_pong()
