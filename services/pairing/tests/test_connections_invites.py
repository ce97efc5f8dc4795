"""Connections: how two accounts come to trust each other, and stop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx

from shoal.testing.suite import Suite, eventually
from shoal_events import (
    AccountDeleted,
    AgentDeleted,
    AgentPairingRevoked,
    ConnectionAccepted,
    ConnectionAddressed,
    ConnectionBlocked,
    ConnectionInvited,
    ConnectionRejected,
    ConnectionRevoked,
    ConnectionUnblocked,
    UserDeleted,
)

from .scenes import refused


async def invite(side: Any, email: str, **fields: str) -> httpx.Response:
    return await side.key.post("/v1/connections", json={"email": email} | fields)


async def test_an_invite_is_answered_alike_whether_or_not_somebody_has_the_address(world: Any) -> None:
    alice, _ = await world.meet("alice", "bob")
    known = await invite(alice, "bob@example.com", message="Hello")
    unknown = await invite(alice, "nobody@example.com", message="Hello")
    for answer in (known, unknown):
        assert answer.status_code == 201
        assert set(answer.json()) == {"id", "status", "invited_email", "message", "created_at"}
        assert (answer.json()["status"], answer.json()["message"]) == ("pending", "Hello")
    for answer in (known, unknown):
        shown = await alice.ask("GET", f"/connections/{answer.json()['id']}")
        assert shown["other_account"] == {
            "id": None,
            "name": None,
            "email": answer.json()["invited_email"],
            "avatar_url": None,
        }


async def test_an_invite_is_accepted_and_listed_with_the_clients_keys(world: Any, suite: Suite) -> None:
    alice, bob = await world.meet("alice", "bob")
    connection = (await invite(alice, "BOB@Example.com", message="Hello")).json()["id"]
    outgoing = await alice.ask("GET", "/connections")
    assert set(outgoing) == {"connections", "pending_incoming", "pending_outgoing", "pending_pairings_count"}
    (sent,) = outgoing["pending_outgoing"]
    assert (sent["id"], sent["to_email"], sent["message"]) == (connection, "BOB@Example.com", "Hello")
    (received,) = (await bob.ask("GET", "/connections"))["pending_incoming"]
    alices = {"id": "acct_alice", "name": "Alice", "email": "alice@example.com", "avatar_url": None}
    assert (received["id"], received["from"], received["message"]) == (connection, alices, "Hello")
    assert await bob.ask("POST", f"/connections/{connection}/accept") == {
        "id": connection,
        "status": "active",
        "message": "Connection established.",
    }
    (item,) = (await bob.ask("GET", "/connections"))["connections"]
    assert item["other_account"] == alices
    assert (item["status"], item["invited_by"], item["message"]) == ("active", "acct_alice", "Hello")
    assert (item["pairing_count"], item["pending_pairing_count"]) == (0, 0)
    assert item["accepted_at"]
    assert await bob.ask("GET", f"/connections/{connection}") == item
    (invited,) = await suite.events(ConnectionInvited)
    (accepted,) = await suite.events(ConnectionAccepted)
    assert (invited.invitee_account_id, invited.version, accepted.version) == ("acct_bob", 1, 2)
    assert "example.com" not in invited.to_json().decode().lower()


async def test_list_shows_what_is_asked_for(world: Any) -> None:
    alice, bob, _ = await world.meet("alice", "bob", "carol")
    await alice.connect(bob)
    await invite(alice, "carol@example.com")
    for status, active, pending in (("all", 1, 1), ("active", 1, 0), ("pending", 0, 1)):
        shown = await alice.ask("GET", f"/connections?status={status}")
        assert (len(shown["connections"]), len(shown["pending_outgoing"])) == (active, pending)
    refused(await alice.key.get("/v1/connections?status=revoked"), 400, "VALIDATION_ERROR")


async def test_invite_validates_every_field(world: Any) -> None:
    (alice,) = await world.meet("alice")
    for field, value in (
        ("email", "no-at"),
        ("email", "a@b@c"),
        ("email", "a b@c"),
        ("email", ""),
        ("email", "x" * 250 + "@b.example"),
        ("email", None),
        ("message", "x" * 501),
        ("message", 7),
    ):
        answer = await alice.key.post("/v1/connections", json={"email": "bob@example.com"} | {field: value})
        refused(answer, 400, "VALIDATION_ERROR")
        assert [problem["field"] for problem in answer.json()["error"]["details"]] == [field]


async def test_invite_refuses_ones_own_address(world: Any) -> None:
    (alice,) = await world.meet("alice")
    refused(await invite(alice, "Alice@example.com"), 400, "SELF_CONNECTION")


async def test_invite_refuses_what_stands_already(world: Any) -> None:
    alice, bob = await world.meet("alice", "bob")
    connection = (await invite(alice, bob.email)).json()["id"]
    refused(await invite(alice, bob.email), 409, "INVITE_PENDING")
    refused(await invite(bob, alice.email), 409, "INVITE_PENDING")
    await bob.ask("POST", f"/connections/{connection}/accept")
    refused(await invite(alice, bob.email), 409, "ALREADY_CONNECTED")
    refused(await invite(bob, alice.email), 409, "ALREADY_CONNECTED")
    await invite(alice, "nobody@example.com")
    refused(await invite(alice, "Nobody@example.com"), 409, "INVITE_PENDING")


async def test_of_many_invites_between_two_accounts_one_stands(world: Any) -> None:
    alice, bob = await world.meet("alice", "bob")
    answers = await asyncio.gather(*(invite(one, other.email) for one, other in [(alice, bob), (bob, alice)] * 10))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19


async def test_an_hour_allows_ten_invites_however_they_end(world: Any, suite: Suite) -> None:
    alice, bob = await world.meet("alice", "bob")
    for number in range(9):
        assert (await invite(alice, f"nobody{number}@example.com")).status_code == 201
    connection = (await invite(alice, bob.email)).json()["id"]
    await bob.ask("POST", f"/connections/{connection}/reject")
    answer = await invite(alice, bob.email)
    refused(answer, 429, "RATE_LIMITED")
    assert 3500 < int(answer.headers["retry-after"]) <= 3600
    assert (await invite(bob, alice.email)).status_code == 201


async def test_the_inviter_does_not_answer_an_invite(world: Any) -> None:
    alice, bob = await world.meet("alice", "bob")
    connection = (await invite(alice, bob.email)).json()["id"]
    refused(await alice.key.post(f"/v1/connections/{connection}/accept"), 403, "FORBIDDEN")
    refused(await alice.key.post(f"/v1/connections/{connection}/reject"), 403, "FORBIDDEN")


async def test_an_invite_is_answered_once(world: Any) -> None:
    alice, bob = await world.meet("alice", "bob")
    connection = await alice.connect(bob)
    refused(await bob.key.post(f"/v1/connections/{connection}/accept"), 409, "ALREADY_PROCESSED")
    refused(await bob.key.post(f"/v1/connections/{connection}/reject"), 409, "ALREADY_PROCESSED")


async def test_a_rejected_invite_is_gone(world: Any, suite: Suite) -> None:
    alice, bob = await world.meet("alice", "bob")
    connection = (await invite(alice, bob.email)).json()["id"]
    told = await bob.ask("POST", f"/connections/{connection}/reject")
    assert told == {"id": connection, "status": "rejected"}
    for side in (alice, bob):
        refused(await side.key.get(f"/v1/connections/{connection}"), 404, "NOT_FOUND")
    (event,) = await suite.events(ConnectionRejected)
    assert (event.reason, event.version) == ("rejected", 2)
    assert (await invite(alice, bob.email)).status_code == 201


async def test_an_inviter_takes_an_invite_back(world: Any) -> None:
    alice, bob = await world.meet("alice", "bob")
    connection = (await invite(alice, bob.email)).json()["id"]
    told = await alice.ask("DELETE", f"/connections/{connection}")
    assert told == {"id": connection, "pairings_revoked": 0, "status": "revoked"}
    refused(await bob.key.post(f"/v1/connections/{connection}/accept"), 409, "ALREADY_PROCESSED")
    assert (await bob.ask("GET", "/connections"))["pending_incoming"] == []


async def test_deleting_a_connection_ends_every_pairing_under_it(world: Any, suite: Suite) -> None:
    alice, bob = await world.meet("alice", "bob")
    connection, mine, theirs = await _paired(alice, bob)
    body = {"my_agent_id": await alice.register(), "their_agent_id": await bob.register()}
    await alice.ask("POST", f"/connections/{connection}/pairings", body, status=201)
    assert await alice.can_send(mine, theirs) == (True, True)
    told = await bob.ask("DELETE", f"/connections/{connection}")
    assert told == {"id": connection, "pairings_revoked": 2, "status": "revoked"}
    refused(await alice.key.delete(f"/v1/connections/{connection}"), 409, "ALREADY_REVOKED")
    assert await alice.can_send(mine, theirs) == (False, False)
    pairings = (await alice.ask("GET", f"/connections/{connection}/pairings"))["pairings"]
    assert {pairing["revoked_reason"] for pairing in pairings} == {"connection_revoked"}
    assert (await alice.ask("GET", f"/connections/{connection}"))["status"] == "revoked"
    assert (await alice.ask("GET", "/connections"))["connections"] == []
    assert len(await suite.events(AgentPairingRevoked, count=2)) == 2
    (event,) = await suite.events(ConnectionRevoked)
    assert event.reason == "deleted"
    assert (await invite(alice, bob.email)).status_code == 201


async def test_blocking_ends_the_connection_and_keeps_both_from_inviting(world: Any, suite: Suite) -> None:
    alice, bob = await world.meet("alice", "bob")
    connection, mine, theirs = await _paired(alice, bob)
    told = await bob.ask("POST", f"/connections/{connection}/block")
    assert told == {"blocked_account_id": "acct_alice", "pairings_revoked": 1, "connection_revoked": True}
    assert await alice.can_send(mine, theirs) == (False, False)
    refused(await invite(alice, bob.email), 403, "BLOCKED")
    refused(await invite(bob, alice.email), 403, "BLOCKED")
    (block,) = (await bob.ask("GET", "/blocked"))["blocked"]
    assert set(block) == {"id", "account", "blocked_at"}
    assert (block["account"]["id"], block["account"]["email"]) == ("acct_alice", "alice@example.com")
    assert (await alice.ask("GET", "/blocked"))["blocked"] == []
    refused(await alice.key.delete(f"/v1/blocked/{block['id']}"), 404, "NOT_FOUND")
    lifted = await bob.ask("DELETE", f"/blocked/{block['id']}")
    assert lifted["unblocked_account_id"] == "acct_alice"
    assert (await alice.ask("GET", f"/connections/{connection}"))["status"] == "revoked"
    assert (await invite(alice, bob.email)).status_code == 201
    assert (len(await suite.events(ConnectionBlocked)), len(await suite.events(ConnectionUnblocked))) == (1, 1)


async def test_an_unwanted_invite_can_be_answered_by_a_block(world: Any) -> None:
    alice, bob = await world.meet("alice", "bob")
    connection = (await invite(alice, bob.email)).json()["id"]
    await bob.ask("POST", f"/connections/{connection}/block")
    await bob.ask("POST", f"/connections/{connection}/block")
    assert len((await bob.ask("GET", "/blocked"))["blocked"]) == 1


async def test_an_inviter_cannot_block_whoever_has_not_answered(world: Any) -> None:
    alice, bob = await world.meet("alice", "bob")
    for email in (bob.email, "nobody@example.com"):
        connection = (await invite(alice, email)).json()["id"]
        refused(await alice.key.post(f"/v1/connections/{connection}/block"), 403, "FORBIDDEN")


async def test_absent_and_foreign_connections_are_answered_alike(world: Any) -> None:
    alice, bob, carol = await world.meet("alice", "bob", "carol")
    foreign = await alice.connect(bob)
    for method, tail, body in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("GET", "/agents", None),
        ("GET", "/pairings", None),
        ("POST", "/accept", None),
        ("POST", "/reject", None),
        ("POST", "/block", None),
        ("POST", "/pairings", {"my_agent_id": str(uuid4()), "their_agent_id": str(uuid4())}),
    ):
        paths = [f"/v1/connections/{connection}{tail}" for connection in (foreign, uuid4())]
        answers = [await carol.key.request(method, path, json=body) for path in paths]
        for answer in answers:
            refused(answer, 404, "NOT_FOUND")
        assert len({answer.json()["detail"] for answer in answers}) == 1


async def test_the_other_side_shows_the_agents_that_it_offers(world: Any) -> None:
    alice, bob = await world.meet("alice", "bob")
    connection = (await invite(alice, bob.email)).json()["id"]
    await bob.register("offered")
    await bob.register("private", available=False)
    refused(await alice.key.get(f"/v1/connections/{connection}/agents"), 400, "CONNECTION_NOT_ACTIVE")
    await bob.ask("POST", f"/connections/{connection}/accept")
    (offered,) = (await alice.ask("GET", f"/connections/{connection}/agents"))["agents"]
    assert set(offered) == {"id", "agent_id", "name", "description", "agent_type", "connection_status"}
    assert (offered["agent_id"], offered["connection_status"]) == ("offered", "connected")


async def test_the_plan_limits_connections_on_either_side(make_world: Callable[..., Awaitable[Any]]) -> None:
    world = await make_world(PAIRING_PLANS='{"small": {"max_connections": 1}}', PAIRING_DEFAULT_PLAN="small")
    alice, bob, carol = await world.meet("alice", "bob", "carol")
    answers = await asyncio.gather(*(invite(alice, f"nobody{number}@example.com") for number in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201] + [403] * 4
    refused(await invite(alice, bob.email), 403, "PLAN_LIMIT_REACHED")
    await bob.connect(carol)
    (waiting,) = (await alice.ask("GET", "/connections"))["pending_outgoing"]
    await alice.ask("DELETE", f"/connections/{waiting['id']}")
    connection = (await invite(alice, bob.email)).json()["id"]
    refused(await bob.key.post(f"/v1/connections/{connection}/accept"), 403, "PLAN_LIMIT_REACHED")


async def test_an_accounts_own_plan_counts(make_world: Callable[..., Awaitable[Any]]) -> None:
    plans = '{"self-hosted": {}, "free": {"max_connections": 0}}'
    world = await make_world(PAIRING_PLANS=plans)
    (alice,) = await world.meet("alice")
    await world.tell_account("acct_alice", name="Alice", plan="free", version=2)

    async def is_limited() -> bool:
        return bool((await alice.ask("GET", "/agents/me"))["account"]["plan"] == "free")

    await eventually(is_limited)
    refused(await invite(alice, "bob@example.com"), 403, "PLAN_LIMIT_REACHED")


async def test_an_invite_waits_for_whoever_gets_the_address(world: Any, suite: Suite) -> None:
    (alice,) = await world.meet("alice")
    connection = (await invite(alice, "Carol@example.com", message="Hello")).json()["id"]
    (carol,) = await world.meet("carol")

    await eventually(lambda: _has_incoming(carol))
    (received,) = (await carol.ask("GET", "/connections"))["pending_incoming"]
    assert (received["id"], received["from"]["id"]) == (connection, "acct_alice")
    (event,) = await suite.events(ConnectionAddressed)
    assert (event.invitee_account_id, event.version) == ("acct_carol", 2)
    await carol.ask("POST", f"/connections/{connection}/accept")


async def test_a_waiting_invite_follows_a_changed_address(world: Any) -> None:
    alice, bob = await world.meet("alice", "bob")
    await invite(alice, "robert@example.com")
    await world.tell_user("acct_bob", "robert@example.com", name="bob", version=2)
    await eventually(lambda: _has_incoming(bob))


async def test_waiting_invites_that_turn_out_pointless_are_given_up(world: Any, suite: Suite) -> None:
    alice, bob = await world.meet("alice", "bob")
    await alice.connect(bob)
    for email in ("alice2@example.com", "bob2@example.com"):
        assert (await invite(alice, email)).status_code == 201
    await world.tell_user("acct_alice", "alice2@example.com")
    await world.tell_user("acct_bob", "bob2@example.com")
    gone = await suite.events(ConnectionRejected, count=2)
    assert {event.reason for event in gone} == {"superseded"}
    assert (await alice.ask("GET", "/connections"))["pending_outgoing"] == []


async def test_of_two_invites_for_one_newcomer_one_is_delivered(world: Any, suite: Suite) -> None:
    (alice,) = await world.meet("alice")
    for email in ("carol@example.com", "carol2@example.com"):
        assert (await invite(alice, email)).status_code == 201
    (carol,) = await world.meet("carol")
    await world.tell_user("acct_carol", "carol2@example.com")
    assert len(await suite.events(ConnectionRejected)) == 1
    assert len((await carol.ask("GET", "/connections"))["pending_incoming"]) == 1


async def test_invites_and_newcomers_at_once_never_miss_each_other(world: Any) -> None:
    (alice,) = await world.meet("alice")
    sides = [world.side(f"late{number}") for number in range(8)]
    await asyncio.gather(
        *(invite(alice, side.email) for side in sides),
        *(world.tell_user(side.account_id, side.email) for side in sides),
    )
    for side in sides:
        await eventually(lambda side=side: _has_incoming(side))


async def test_an_address_of_a_deleted_user_is_nobodys(world: Any, suite: Suite) -> None:
    alice, bob = await world.meet("alice", "bob")
    await suite.publish(UserDeleted(user_id="user_bob", account_id="acct_bob", version=2), event_id=str(uuid4()))

    async def is_forgotten() -> bool:
        return bool((await bob.ask("GET", "/agents/me"))["account"]["email"] is None)

    await eventually(is_forgotten)
    await world.tell_user("acct_bob", "bob@example.com", version=1)
    await invite(alice, "bob@example.com")
    assert not await _has_incoming(bob)


async def test_a_deleted_account_takes_everything_with_it(world: Any, suite: Suite) -> None:
    alice, bob = await world.meet("alice", "bob")
    connection, mine, theirs = await _paired(alice, bob)
    _, agent = await bob.agent_client(theirs)
    await invite(alice, "nobody@example.com")
    await suite.publish(AccountDeleted(account_id="acct_bob", version=2), event_id=str(uuid4()))
    (event,) = await suite.events(AgentDeleted)
    assert (event.agent_uuid, event.reason) == (theirs, "account_deleted")
    assert {event.reason for event in await suite.events(AgentPairingRevoked)} == {"account_deleted"}
    assert {event.reason for event in await suite.events(ConnectionRevoked)} == {"account_deleted"}
    assert await alice.can_send(mine, theirs) == (False, False)
    assert (await alice.ask("GET", f"/connections/{connection}"))["status"] == "revoked"
    assert (await bob.ask("GET", "/agents"))["agents"] == []
    refused(await agent.get("/v1/agents/me"), 401, "KEY_REVOKED")
    assert len((await alice.ask("GET", "/connections"))["pending_outgoing"]) == 1


async def _has_incoming(side: Any) -> bool:
    return len((await side.ask("GET", "/connections"))["pending_incoming"]) == 1


async def _paired(alice: Any, bob: Any) -> tuple[str, str, str]:
    mine, theirs = await alice.register("mine"), await bob.register("theirs")
    connection = await alice.connect(bob)
    body = {"my_agent_id": mine, "their_agent_id": theirs}
    pairing = await alice.ask("POST", f"/connections/{connection}/pairings", body, status=201)
    await bob.ask("POST", f"/pairings/{pairing['id']}/confirm")
    return connection, mine, theirs
