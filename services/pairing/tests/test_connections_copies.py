"""Accounts, users and presences that were there, or are no more, before this service could hear of it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest_asyncio

from shoal.service import installed
from shoal.testing.servers import TestDatabases
from shoal.testing.suite import Suite, eventually, user
from shoal_events import AgentOnline, UserCreated

from .conftest import World

PASSWORD = "correct horse battery"


@pytest_asyncio.fixture
async def database_url(databases: TestDatabases) -> AsyncIterator[str]:
    url = await databases.make([installed()[name] for name in ("gateway", "pairing", "telemetry-ingest")])
    yield url
    await databases.drop(url)


async def execute(suite: Suite, sql: str) -> None:
    connection = await asyncpg.connect(suite.database_url)
    await connection.execute(sql)
    await connection.close()


async def test_accounts_that_no_event_tells_of_are_read_from_the_gateway(suite: Suite) -> None:
    for name in ("gateway", "pairing"):
        suite.announce(name)
    gateway = await suite.start("gateway")
    first = {"username": "admin", "password": PASSWORD, "email": "harbour@example.com"}
    answer = await gateway.client().post("/api/v1/auth/setup", json=first)
    assert answer.status_code == 201, answer.text
    (told,) = await suite.events(UserCreated)
    await (await suite.bus()).jetstream().purge_stream("EVENTS")
    pairing = await suite.start("pairing")
    admin = pairing.client(user(told.account_id, told.user_id))

    async def profile() -> Any:
        return (await admin.get("/v1/agents/me")).json()["account"]

    async def is_known() -> bool:
        return bool((await profile())["email"] == told.email)

    await eventually(is_known, within_s=10)
    refused = await admin.post("/v1/connections", json={"email": told.email})
    assert refused.json()["error"]["code"] == "SELF_CONNECTION"


async def test_what_ended_while_this_service_was_away_for_long_has_ended_here(suite: Suite) -> None:
    """No fact tells of it any more: the exports do, or leave out what their owners do not know."""
    for name in ("gateway", "pairing", "telemetry-ingest"):
        suite.announce(name)
    first = {"username": "admin", "password": PASSWORD, "email": "harbour@example.com"}
    gateway = await suite.start("gateway")
    assert (await gateway.client().post("/api/v1/auth/setup", json=first)).status_code == 201
    world = World(suite, await suite.start("pairing"))
    (ghost,) = await world.meet("ghost")  # the gateway knows no such account
    await ghost.register("agent-of-a-ghost")
    token = (await ghost.session.post("/pairing/init", json={})).json()["token"]
    confirmed = await world.pairing.client().post("/pairing/confirm", json={"token": token, "agent_id": "agent_1"})
    pairing_id = confirmed.json()["pairing_id"]
    online = AgentOnline(
        agent_id="agent_1", account_id="acct_ghost", pairing_id=pairing_id, epoch="e1", at=datetime.now(UTC)
    )
    await suite.publish(online, event_id=str(uuid4()))

    async def status() -> str:
        return str((await ghost.session.get(f"/pairing/{pairing_id}")).json().get("status"))

    async def is_connected() -> bool:
        return await status() == "connected"

    await eventually(is_connected)
    await suite.stop(world.pairing)
    await execute(suite, "delete from pairing.copy_state")
    await execute(
        suite,
        """
        insert into telemetry_ingest.presence (account_id, agent_id, epoch, process, socket_id, began_at)
        values ('acct_other', 'agent_other', 'e9', 'proc_other', 's', now())
        """,
    )
    await suite.start("telemetry-ingest", until_ready=False)
    world.pairing = await suite.start("pairing")
    ghost = world.side("ghost")

    seen: list[Any] = []

    async def has_ended() -> bool:
        email = (await ghost.ask("GET", "/agents/me"))["account"]["email"]
        seen[:] = [email, (await ghost.ask("GET", "/agents"))["agents"], await status()]
        return seen == [None, [], "disconnected"]

    await eventually(has_ended, lambda: seen, within_s=10)


async def test_account_that_was_deleted_long_ago_ends_its_pairings(suite: Suite) -> None:
    for name in ("gateway", "pairing"):
        suite.announce(name)
    await suite.start("gateway")
    pairing = await suite.start("pairing")
    gone = user("acct_gone", "user_gone")
    await pairing.client(gone).post("/pairing/init", json={})
    await suite.stop(pairing)
    await execute(suite, "delete from pairing.copy_state")
    await execute(
        suite,
        """
        insert into gateway.account (id, name, plan, version, deleted_at)
        values ('acct_gone', 'Gone', '', 2, now() - interval '30 days')
        """,
    )
    pairing = await suite.start("pairing")

    async def has_ended() -> bool:
        return (await pairing.client(gone).get("/pairing")).json()["total"] == 0

    await eventually(has_ended, within_s=10)
