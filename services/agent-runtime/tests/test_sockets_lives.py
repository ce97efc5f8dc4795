"""Sockets of browsers: how many there may be, how fast they are, and how they end."""

import asyncio
import contextlib
import time
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from runtime_door import ALICE, Door
from runtime_sockets import wire
from websockets.exceptions import ConnectionClosed

from agent_runtime.sockets.domain.credentials import Credential
from agent_runtime.sockets.usecases.credentials import Credentials
from agent_runtime.sockets.usecases.slots import Slots
from agent_runtime.sockets.usecases.sockets import Sockets
from shoal.identity import Principal, Via
from shoal.testing.suite import eventually, user
from shoal_events import AccountDeleted, ApiKeyRevoked, LoginEnded, UserDeleted

LOGIN = {"login_id": "login_1", "account_id": "acct_1", "user_id": "user_alice", "reason": "logout"}


class Opening:
    """A socket of Alice's that is being let in."""

    def __init__(self, socket_id: str) -> None:
        self.id = socket_id
        self.credential = Credential(principal=ALICE)
        self.checked_at = 0.0
        self.ended_at: float | None = None


async def test_socket_without_a_credential_is_closed_in_time(open_door: Any) -> None:
    door = await open_door(AGENT_RUNTIME_SOCKET_AUTH_TIMEOUT="300ms")
    async with wire(door.service) as nobody:
        await nobody.say({"type": "subscribe", "topic": "agent:status"})
        assert (await nobody.hear())["code"] == "not_authenticated"
        assert await nobody.closed() == 4408


async def test_silence_is_broken_by_a_ping(open_door: Any) -> None:
    door = await open_door(AGENT_RUNTIME_SOCKET_QUIET_FOR="300ms")
    async with wire(door.service, ALICE) as page:
        await page.hear("connected")
        assert (await page.hear("ping"))["timestamp"]
        await page.say({"type": "pong"})
        assert (await page.hear("ping"))["timestamp"]


async def test_fast_sender_is_told_once_and_read_no_faster(open_door: Any) -> None:
    door = await open_door(AGENT_RUNTIME_SOCKET_MESSAGES_PER_SECOND="20")
    async with wire(door.service, ALICE) as page:
        await page.subscribe("agent:status")
        started = time.monotonic()
        await page.say(*({"type": "ping"} for _ in range(40)))
        heard = [(await page.hear())["type"] for _ in range(41)]
        assert time.monotonic() - started > 0.8
        assert heard.count("error") == 1
        assert heard.count("pong") == 40


async def test_user_has_so_many_sockets_over_all_replicas_and_no_more(open_door: Any) -> None:
    unhurried = {"AGENT_RUNTIME_SOCKET_SILENT_FOR": "60s"}  # a busy machine must not pass for a lost replica
    settings = {"AGENT_RUNTIME_SOCKETS_PER_USER": "2", "AGENT_RUNTIME_SOCKET_BEAT": "100ms"} | unhurried
    one, two = await open_door(**settings), await open_door(**settings)
    async with wire(one.service, ALICE) as first, wire(two.service, ALICE) as second:
        await first.hear("connected")
        await second.hear("connected")
        for place in (one, two):
            async with wire(place.service, ALICE) as third:
                assert await third.closed() == 4429
        async with wire(two.service, user("acct_1", "user_bob")) as other:
            await other.hear("connected")
        await first.connection.close()
        await eventually(lambda: _is_welcome(two), within_s=15)


async def test_sockets_that_open_at_once_leave_each_other_their_slots(door: Door) -> None:
    resources = door.service.running.resources
    sockets = Sockets(Credentials(resources.peers), resources.clock, revalidate_every=timedelta(minutes=1))
    beats = {"beat": timedelta(seconds=1), "silent_for": timedelta(minutes=1)}
    slots = Slots(resources.database, sockets, process="another", sockets_per_user=2, on_change=lambda _: None, **beats)
    late, early = Opening("sock_late"), Opening("sock_early")
    connection = await asyncpg.connect(door.suite.database_url)
    async with connection.transaction():
        await connection.execute("set local search_path to agent_runtime")
        await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 2))", ALICE.user_id)
        sockets.open(late)
        claiming = asyncio.create_task(slots.claim(late.id, ALICE))
        await eventually(lambda: _waits_for_its_turn(door))
        sockets.open(early)
        await connection.execute("insert into socket_process (id) values ('another')")
        await connection.execute(
            "insert into socket (id, account_id, user_id, process) values ($1, 'acct_1', $2, 'another')",
            *(early.id, ALICE.user_id),
        )
    await connection.close()
    assert await claiming
    assert {row["id"] for row in await door.sql("select id from socket")} == {late.id, early.id}


async def test_process_that_was_taken_for_lost_counts_its_sockets_again(open_door: Any) -> None:
    door = await open_door(AGENT_RUNTIME_SOCKET_BEAT="100ms")
    async with wire(door.service, ALICE) as page:
        await page.hear("connected")
        await door.sql("delete from socket_process")
        await eventually(lambda: _is_counted(door))


async def test_frame_reaches_sockets_of_every_replica_once(open_door: Any) -> None:
    one, two = await open_door(), await open_door()
    async with wire(one.service, ALICE) as here, wire(two.service, ALICE) as there:
        for page in (here, there):
            await page.hear("connected")
            await page.subscribe("canvas:update")
        answer = await one.alice.post("/api/canvas/s1/commands", json={"command": "reset"})
        assert answer.status_code == 200
        for page in (here, there):
            assert (await page.hear("canvas:update"))["canvas_id"] == "s1"
            assert await page.heard_until_pong() == []


@pytest.mark.parametrize(
    "fact",
    [
        LoginEnded(**LOGIN),
        ApiKeyRevoked(key_id="login_1", account_id="acct_1", user_id="user_alice"),
        UserDeleted(user_id="user_alice", account_id="acct_1", version=7),
        AccountDeleted(account_id="acct_1", version=7),
    ],
    ids=lambda fact: fact.event_type,
)
async def test_sockets_end_with_what_opened_them_and_none_is_opened_again(door: Door, fact: Any) -> None:
    stranger = Principal(via=Via.SESSION, account_id="acct_2", user_id="user_9", credential_id="login_9")
    async with wire(door.service, ALICE) as page, wire(door.service, stranger) as bystander:
        for socket in (page, bystander):
            await socket.hear("connected")
        await door.suite.publish(fact, event_id="0b8f8f4e-5a39-4d5c-9d9c-8b6a9c1f0001")
        assert await page.closed() == 4401
        await bystander.heard_until_pong()
        async with wire(door.service, ALICE) as late:  # vouched for by a gateway that has not heard yet
            assert await late.closed() == 4401


async def test_restart_closes_sockets_as_going_away(open_door: Any) -> None:
    door = await open_door()
    async with wire(door.service, ALICE) as page:
        await page.hear("connected")
        await page.heard_until_pong()
        stopping = asyncio.create_task(door.suite.stop(door.service))
        assert await page.closed() == 1001
        await stopping
    assert await door.sql("select * from socket") == []


async def _waits_for_its_turn(door: Door) -> bool:
    return bool(await door.sql("select from pg_locks where locktype = 'advisory' and not granted"))


async def _is_welcome(door: Door) -> bool:
    async with wire(door.service, ALICE) as page:
        with contextlib.suppress(ConnectionClosed):
            return (await page.hear())["type"] == "connected"
    return False


async def _is_counted(door: Door) -> bool:
    return [row["user_id"] for row in await door.sql("select user_id from socket")] == ["user_alice"]
