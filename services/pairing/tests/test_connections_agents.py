"""Agents: how accounts register and keep them."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

from shoal.testing.suite import Suite
from shoal_events import (
    AgentConnected,
    AgentDeleted,
    AgentDisconnected,
    AgentPairingRevoked,
    AgentRegistered,
    AgentUpdated,
)

from .scenes import refused

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.b64encode(bytes(range(1, 33))).decode()


async def test_register_with_a_key_connects_in_one_shot(world: Any, suite: Suite) -> None:
    (alice,) = await world.meet("alice")
    body = {"agent_id": "pilot.1", "name": "Pilot", "public_key": KEY, "agent_type": "langchain"}
    told = await alice.ask("POST", "/agents/register", body, status=201)
    assert told["id"] == told["agent_uuid"]
    assert (told["agent_id"], told["name"], told["connection_status"]) == ("pilot.1", "Pilot", "connected")
    assert (told["public_key"], told["key_version"], told["available_for_connections"]) == (KEY, 1, False)
    assert told["inbox_url"] == f"http://127.0.0.1:8080/v1/agents/{told['id']}/inbox"
    for method in ("GET", "POST"):
        refused(await alice.session.request(method, f"/v1/agents/{told['id']}/inbox"), 404, "INBOX_NOT_OFFERED")
    assert "connection_token" not in told
    (event,) = await suite.events(AgentRegistered)
    assert (event.agent_uuid, event.account_id, event.agent_id) == (told["id"], "acct_alice", "pilot.1")
    assert (event.key_version, event.version) == (1, 1)


async def test_register_without_a_key_gives_a_token_that_connects_once(world: Any, suite: Suite) -> None:
    (alice,) = await world.meet("alice")
    told = await alice.ask("POST", "/agents/register", {"agent_id": "sol"}, status=201)
    assert (told["connection_status"], told["key_version"], told["public_key"]) == ("pending", 0, None)
    agent = world.pairing.client(await world.resolve(told["connection_token"]))
    answer = await agent.post("/v1/agents/connect", json={"public_key": KEY, "public_key_algorithm": "X25519"})
    assert answer.json() == {"agent_id": "sol", "agent_uuid": told["id"], "status": "connected", "key_version": 1}
    refused(await agent.post("/v1/agents/connect", json={"public_key": OTHER_KEY}), 401, "UNAUTHORIZED")
    gateway = world.as_service("gateway")
    gone = await gateway.post("/internal/principal", json={"credential": told["connection_token"]})
    assert gone.status_code == 404
    assert (await alice.ask("GET", "/agents/sol"))["public_key"] == KEY
    (event,) = await suite.events(AgentConnected)
    assert (event.agent_uuid, event.key_version, event.version) == (told["id"], 1, 2)


async def test_a_connect_token_ends_after_its_time(make_world: Callable[..., Awaitable[Any]]) -> None:
    world = await make_world(PAIRING_CONNECT_TOKEN_TTL="0s")
    (alice,) = await world.meet("alice")
    told = await alice.ask("POST", "/agents/register", {"agent_id": "sol"}, status=201)
    gateway = world.as_service("gateway")
    answer = await gateway.post("/internal/principal", json={"credential": told["connection_token"]})
    assert answer.status_code == 404


async def test_of_many_uses_of_one_connect_token_one_succeeds(world: Any) -> None:
    (alice,) = await world.meet("alice")
    told = await alice.ask("POST", "/agents/register", {"agent_id": "sol"}, status=201)
    agent = world.pairing.client(await world.resolve(told["connection_token"]))
    answers = await asyncio.gather(*(agent.post("/v1/agents/connect", json={"public_key": KEY}) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19


async def test_a_new_connect_token_replaces_the_one_before_and_brings_another_key(world: Any) -> None:
    (alice,) = await world.meet("alice")
    told = await alice.ask("POST", "/agents/register", {"agent_id": "sol"}, status=201)
    old = world.pairing.client(await world.resolve(told["connection_token"]))
    fresh = await alice.ask("POST", "/agents/sol/token")
    refused(await old.post("/v1/agents/connect", json={"public_key": KEY}), 401, "UNAUTHORIZED")
    new = world.pairing.client(await world.resolve(fresh["connection_token"]))
    assert (await new.post("/v1/agents/connect", json={"public_key": KEY})).json()["key_version"] == 1
    again = await alice.ask("POST", f"/agents/{told['id']}/token")
    other = world.pairing.client(await world.resolve(again["connection_token"]))
    assert (await other.post("/v1/agents/connect", json={"public_key": OTHER_KEY})).json()["key_version"] == 2


UNFIT = (
    ("agent_id", ("has space", "", "x" * 65, "a/b", "a\n", "nul\x00", "me", "..", str(UUID(int=7)), None)),
    ("name", ("", "  ", "x" * 101)),
    ("public_key", ("short", KEY[:-1], KEY + "\n", base64.b64encode(bytes(33)).decode())),
    ("public_key_algorithm", ("RSA",)),
    ("signing_public_key", ("x",)),
    ("signing_key_algorithm", ("X25519",)),
    ("webhook_url", ("http://example.com/hook", "https://", "https:///path", "file:///etc/passwd")),
    ("agent_type", ("toaster",)),
    ("metadata", (["list"], {"x": "y" * 17_000})),
    ("available_for_connections", ("yes",)),
    ("description", ("x" * 2001,)),
)


async def test_register_names_the_field_that_does_not_hold(world: Any) -> None:
    (alice,) = await world.meet("alice")
    for field, values in UNFIT:
        for value in values:
            body = {"agent_id": "sol", "public_key": KEY} | {field: value}
            answer = await alice.key.post("/v1/agents/register", json=body)
            refused(answer, 400, "VALIDATION_ERROR")
            if value != "nul\x00":
                assert [problem["field"] for problem in answer.json()["error"]["details"]] == [field], value


async def test_an_agent_is_named_once_in_an_account_and_again_when_deleted(world: Any) -> None:
    alice, bob = await world.meet("alice", "bob")
    await alice.register("sol")
    await bob.register("sol")
    refused(await alice.key.post("/v1/agents/register", json={"agent_id": "sol"}), 409, "AGENT_EXISTS")
    await alice.ask("DELETE", "/agents/sol")
    await alice.register("sol")


async def test_agents_are_listed_with_what_the_client_reads(world: Any) -> None:
    alice, bob = await world.meet("alice", "bob")
    await alice.register("one")
    await alice.register("two", connected=False)
    await bob.register("three")
    agents = (await alice.ask("GET", "/agents"))["agents"]
    assert [(agent["agent_id"], agent["connection_status"]) for agent in agents] == [
        ("one", "connected"),
        ("two", "pending"),
    ]
    assert set(agents[0]) >= {
        *("id", "agent_id", "name", "description", "webhook_url", "agent_type", "connection_status"),
        *("key_version", "last_seen_at", "metadata", "created_at"),
    }


async def test_an_agent_is_shown_by_uuid_and_by_name(world: Any) -> None:
    (alice,) = await world.meet("alice")
    agent = await alice.register("sol")
    assert await alice.ask("GET", f"/agents/{agent}") == await alice.ask("GET", "/agents/sol")


async def test_change_replaces_what_is_given_and_nothing_else(world: Any, suite: Suite) -> None:
    (alice,) = await world.meet("alice")
    body = {"agent_id": "sol", "description": "old", "metadata": {"a": 1, "b": 2}, "webhook_url": "https://a.example/h"}
    await alice.ask("POST", "/agents/register", body, status=201)
    changes = {"metadata": {"c": 3}, "description": None, "available_for_connections": True}
    changed = await alice.ask("PATCH", "/agents/sol", changes)
    assert (changed["metadata"], changed["description"], changed["name"]) == ({"c": 3}, None, "sol")
    assert (changed["available_for_connections"], changed["webhook_url"]) == (True, "https://a.example/h")
    assert await alice.ask("PATCH", "/agents/sol", {}) == changed
    (event,) = await suite.events(AgentUpdated)
    assert (event.available_for_connections, event.version) == (True, 2)
    refused(await alice.key.patch("/v1/agents/sol", json={"metadata": {"x": "y" * 17_000}}), 400, "VALIDATION_ERROR")


async def test_disconnect_wipes_keys_and_stops_what_passes_but_keeps_pairings(world: Any, suite: Suite) -> None:
    alice, bob, mine, theirs, pairing_id = await _paired(world)
    told = await alice.ask("POST", f"/agents/{mine}/disconnect")
    assert (told["status"], told["agent_uuid"]) == ("disconnected", mine)
    refused(await alice.key.post(f"/v1/agents/{mine}/disconnect"), 409, "ALREADY_DISCONNECTED")
    shown = await alice.ask("GET", f"/agents/{mine}")
    assert (shown["public_key"], shown["connection_status"]) == (None, "disconnected")
    assert await bob.can_send(theirs, mine) == (False, False)
    assert (await bob.ask("GET", f"/pairings/{pairing_id}"))["status"] == "active"
    assert len(await suite.events(AgentDisconnected)) == 1


async def test_delete_ends_keys_and_pairings(world: Any, suite: Suite) -> None:
    alice, bob, mine, theirs, pairing_id = await _paired(world)
    _, agent = await alice.agent_client(mine)
    told = await alice.ask("DELETE", f"/agents/{mine}")
    assert (told["id"], told["deleted"], told["pairings_revoked"]) == (mine, True, 1)
    refused(await alice.key.get(f"/v1/agents/{mine}"), 404, "NOT_FOUND")
    refused(await agent.get("/v1/agents/me"), 401, "KEY_REVOKED")
    shown = await bob.ask("GET", f"/pairings/{pairing_id}")
    assert (shown["status"], shown["revoked_reason"]) == ("revoked", "agent_deleted")
    assert await bob.can_send(theirs, mine) == (False, False)
    (event,) = await suite.events(AgentDeleted)
    assert (event.agent_uuid, event.reason) == (mine, "deleted")
    assert len(await suite.events(AgentPairingRevoked)) == 1


async def test_absent_and_foreign_agents_are_answered_alike(world: Any) -> None:
    alice, bob = await world.meet("alice", "bob")
    foreign = await bob.register("theirs")
    for method, tail, body in (
        ("GET", "", None),
        ("PATCH", "", {"name": "mine"}),
        ("DELETE", "", None),
        ("POST", "/disconnect", None),
        ("POST", "/token", None),
        ("POST", "/keys", {"name": "x"}),
        ("GET", "/keys", None),
        ("DELETE", "/keys/akey_1", None),
        ("GET", f"/can-send?to={foreign}", None),
    ):
        answers = [
            await alice.key.request(method, f"/v1/agents/{name}{tail}", json=body) for name in (foreign, uuid4())
        ]
        for answer in answers:
            refused(answer, 404, "NOT_FOUND")
        assert len({answer.json()["detail"] for answer in answers}) == 1


async def test_the_plan_limits_agents_even_when_many_register_at_once(
    make_world: Callable[..., Awaitable[Any]],
) -> None:
    world = await make_world(PAIRING_PLANS='{"small": {"max_agents": 3}}', PAIRING_DEFAULT_PLAN="small")
    (alice,) = await world.meet("alice")
    answers = await asyncio.gather(
        *(alice.key.post("/v1/agents/register", json={"agent_id": f"a{number}"}) for number in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [403] * 7
    refused(next(answer for answer in answers if answer.status_code == 403), 403, "PLAN_LIMIT_REACHED")
    me = await alice.ask("GET", "/agents/me")
    assert (me["account"]["plan"], me["plan_limits"]["max_agents"]) == ("small", 3)
    await alice.ask("DELETE", f"/agents/{(await alice.ask('GET', '/agents'))['agents'][0]['id']}")
    await alice.register()


async def test_me_tells_an_agent_who_it_is(world: Any) -> None:
    alice, _, mine, _, _ = await _paired(world)
    await alice.ask("POST", "/connections", {"email": "nobody@example.com"}, status=201)
    _, agent = await alice.agent_client(mine)
    me = (await agent.get("/v1/agents/me")).json()
    assert set(me) == {"agent", "account", "plan_limits", "connections", "inbox", "broadcasts", "sdk"}
    assert (me["agent"]["id"], me["agent"]["agent_id"], me["agent"]["key_version"]) == (mine, "mine", 1)
    assert me["agent"]["last_seen_at"]
    assert me["account"] == {"plan": "self-hosted", "email": "alice@example.com"}
    assert me["plan_limits"]["max_connections"] is None
    assert me["connections"] == {
        "active": 1,
        "pending_incoming": 0,
        "pending_outgoing": 1,
        "paired_agents": ["theirs"],
    }
    assert me["inbox"] == {"unread_transfers": 0, "recent": []}


async def test_me_of_a_user_names_the_agent_in_a_header(world: Any) -> None:
    (alice,) = await world.meet("alice")
    await alice.register("sol")
    named = await alice.key.get("/v1/agents/me", headers={"X-AgentDrop-Agent": "sol"})
    assert named.json()["agent"]["agent_id"] == "sol"
    assert (await alice.ask("GET", "/agents/me"))["agent"] is None
    refused(await alice.key.get("/v1/agents/me", headers={"X-AgentDrop-Agent": "luna"}), 404, "NOT_FOUND")


async def test_resolve_finds_own_and_paired_agents_only(world: Any) -> None:
    alice, bob, mine, theirs, pairing_id = await _paired(world)
    await bob.register("hidden")
    found = await alice.ask("GET", "/agents/resolve?agent_id=theirs")
    assert (found["id"], found["agent_uuid"], found["account_id"]) == (theirs, theirs, "acct_bob")
    assert (found["public_key_algorithm"], found["connection_status"]) == ("X25519", "connected")
    assert (await alice.ask("GET", "/agents/resolve?agent_id=mine"))["id"] == mine
    for name in ("hidden", "never"):
        refused(await alice.key.get(f"/v1/agents/resolve?agent_id={name}"), 404, "NOT_FOUND")
    await bob.session.delete(f"/v1/pairings/{pairing_id}")
    refused(await alice.key.get("/v1/agents/resolve?agent_id=theirs"), 404, "NOT_FOUND")


async def test_resolve_tells_the_candidates_of_an_ambiguous_name(world: Any) -> None:
    alice, _, _, theirs, _ = await _paired(world)
    own = await alice.register("theirs")
    answer = await alice.key.get("/v1/agents/resolve?agent_id=theirs")
    refused(answer, 400, "AMBIGUOUS_RECIPIENT")
    candidates = answer.json()["error"]["candidates"]
    assert {"account_id": "acct_bob", "account_name": "Bob", "email_masked": "b***@example.com"} in candidates
    assert len(candidates) == 2
    for account in ("acct_bob", "bob", "BOB@example.com"):
        found = await alice.ask("GET", f"/agents/resolve?agent_id=theirs&account={account}")
        assert found["id"] == theirs
    assert (await alice.ask("GET", "/agents/resolve?agent_id=theirs&account=Alice"))["id"] == own
    refused(await alice.key.get("/v1/agents/resolve?agent_id=theirs&account=carol"), 404, "NOT_FOUND")


async def test_an_agent_resolves_those_that_itself_is_paired_with(world: Any) -> None:
    alice, _, mine, theirs, _ = await _paired(world)
    _, paired = await alice.agent_client(mine)
    _, lonely = await alice.agent_client(await alice.register("lonely"))
    assert (await paired.get("/v1/agents/resolve?agent_id=theirs")).json()["id"] == theirs
    refused(await lonely.get("/v1/agents/resolve?agent_id=theirs"), 404, "NOT_FOUND")


async def _paired(world: Any) -> tuple[Any, Any, str, str, str]:
    alice, bob = await world.meet("alice", "bob")
    mine, theirs = await alice.register("mine"), await bob.register("theirs")
    connection = await alice.connect(bob)
    body = {"my_agent_id": mine, "their_agent_id": theirs}
    pairing_id = (await alice.ask("POST", f"/connections/{connection}/pairings", body, status=201))["id"]
    await bob.ask("POST", f"/pairings/{pairing_id}/confirm")
    return alice, bob, mine, theirs, pairing_id
