"""What agents come in with, and how far it takes them."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from shoal.identity import Principal, Via
from shoal.testing.suite import ServiceUnderTest, user

from .scenes import refused

ID = uuid4()
FOR_ACCOUNTS = (
    ("POST", "/agents/register"),
    ("PATCH", "/agents/sol"),
    ("DELETE", "/agents/sol"),
    ("POST", "/agents/sol/token"),
    ("POST", "/agents/sol/keys"),
    ("GET", "/agents/sol/keys"),
    ("DELETE", "/agents/sol/keys/akey_1"),
    ("POST", "/connections"),
    ("GET", f"/connections/{ID}"),
    ("DELETE", f"/connections/{ID}"),
    ("GET", f"/connections/{ID}/agents"),
    ("POST", f"/connections/{ID}/accept"),
    ("POST", f"/connections/{ID}/reject"),
    ("POST", f"/connections/{ID}/block"),
    ("GET", "/blocked"),
    ("DELETE", f"/blocked/{ID}"),
    ("POST", f"/connections/{ID}/pairings"),
    ("GET", f"/connections/{ID}/pairings"),
    ("GET", f"/pairings/{ID}"),
    ("POST", f"/pairings/{ID}/confirm"),
    ("PATCH", f"/pairings/{ID}"),
    ("POST", f"/pairings/{ID}/reject"),
)
FOR_SESSIONS = (("DELETE", f"/pairings/{ID}"),)
FOR_AGENTS_TOO = (
    ("GET", "/agents"),
    ("GET", "/agents/me"),
    ("GET", "/agents/resolve"),
    ("GET", "/agents/sol"),
    ("GET", "/agents/sol/can-send"),
    ("GET", "/agents/sol/inbox"),
    ("POST", "/agents/sol/inbox"),
    ("POST", "/agents/sol/disconnect"),
    ("GET", "/connections"),
    ("GET", "/pairings"),
)
FOR_CONNECT_TOKENS = (("POST", "/agents/connect"),)
EVERYTHING = (*FOR_ACCOUNTS, *FOR_SESSIONS, *FOR_AGENTS_TOO, *FOR_CONNECT_TOKENS)


async def test_these_are_all_routes(pairing: ServiceUnderTest, world: Any) -> None:
    document = (await world.as_service("gateway").get("/internal/openapi.json")).json()
    ours = [methods for path, methods in document["paths"].items() if path.startswith("/v1/")]
    routes = [method for methods in ours for method in methods]
    assert len(routes) == len(EVERYTHING)


async def test_a_key_is_shown_once_and_listed_without_its_secret(world: Any) -> None:
    (alice,) = await world.meet("alice")
    agent = await alice.register("sol")
    made = await alice.ask("POST", "/agents/sol/keys", {"name": "laptop"}, status=201)
    assert set(made) >= {"id", "name", "prefix", "scope", "agent_id", "api_key", "created_at"}
    assert (made["name"], made["scope"], made["agent_id"]) == ("laptop", "agent", "sol")
    assert made["api_key"].startswith("ada_")
    assert made["api_key"].startswith(made["prefix"])
    listed = await alice.ask("GET", f"/agents/{agent}/keys")
    assert [key["id"] for key in listed["keys"]] == [made["id"]]
    assert made["api_key"] not in str(listed)


async def test_a_key_is_its_agent_to_the_gateway(world: Any) -> None:
    (alice,) = await world.meet("alice")
    agent = await alice.register("sol")
    made = await alice.ask("POST", "/agents/sol/keys", {"name": "laptop"}, status=201)
    principal = await world.resolve(made["api_key"])
    assert principal == Principal(via=Via.AGENT_KEY, account_id="acct_alice", agent_id=agent, credential_id=made["id"])


async def test_use_of_a_key_is_noted(world: Any) -> None:
    (alice,) = await world.meet("alice")
    _, agent = await alice.agent_client(await alice.register("sol"))
    await agent.get("/v1/agents/me")
    (key,) = (await alice.ask("GET", "/agents/sol/keys"))["keys"]
    assert key["last_used_at"]


async def test_a_revoked_key_is_refused_at_once_and_told_why(world: Any) -> None:
    (alice,) = await world.meet("alice")
    await alice.register("sol")
    made = await alice.ask("POST", "/agents/sol/keys", {"name": "laptop"}, status=201)
    remembered = world.pairing.client(await world.resolve(made["api_key"]))
    assert (await remembered.get("/v1/agents/me")).status_code == 200
    assert await alice.ask("DELETE", f"/agents/sol/keys/{made['id']}") == {"id": made["id"], "status": "revoked"}
    refused(await remembered.get("/v1/agents/me"), 401, "KEY_REVOKED")
    anew = await world.resolve(made["api_key"])
    assert (anew.account_id, anew.agent_id, anew.is_user) == ("", "", False)
    refused(await world.pairing.client(anew).get("/v1/agents/me"), 401, "KEY_REVOKED")
    refused(await alice.key.delete(f"/v1/agents/sol/keys/{made['id']}"), 404, "NOT_FOUND")
    assert await alice.ask("GET", "/agents/sol/keys") == {"keys": []}


@pytest.mark.parametrize("credential", ["ada_unknown", "agt_unknown", "ada_", "telem_unknown"])
async def test_an_unknown_credential_is_nobodys(world: Any, credential: str) -> None:
    answer = await world.as_service("gateway").post("/internal/principal", json={"credential": credential})
    assert answer.status_code == 404


async def test_nobody_gets_in_anywhere(pairing: ServiceUnderTest) -> None:
    for principal in (None, user(via=Via.TELEMETRY_TOKEN), Principal(via=Via.SERVICE, service="gateway")):
        client = pairing.client(principal)
        for method, path in EVERYTHING:
            refused(await client.request(method, f"/v1{path}"), 401, "UNAUTHORIZED")


async def test_a_made_up_or_foreign_key_id_opens_nothing(world: Any) -> None:
    alice, bob = await world.meet("alice", "bob")
    mine = await alice.register("sol")
    key_id, _ = await bob.agent_client(await bob.register("luna"))
    for credential_id in ("akey_made_up", key_id, ""):
        principal = Principal(via=Via.AGENT_KEY, account_id="acct_alice", agent_id=mine, credential_id=credential_id)
        for method, path in EVERYTHING:
            answer = await world.pairing.client(principal).request(method, f"/v1{path}")
            assert answer.status_code == 401, f"{method} {path}"


async def test_an_agent_key_does_not_do_what_is_its_accounts_to_do(world: Any) -> None:
    (alice,) = await world.meet("alice")
    _, agent = await alice.agent_client(await alice.register("sol"))
    for method, path in FOR_ACCOUNTS:
        refused(await agent.request(method, f"/v1{path}"), 403, "SCOPE_MISMATCH")
    for method, path in FOR_SESSIONS:
        refused(await agent.request(method, f"/v1{path}"), 403, "SESSION_REQUIRED")
    for method, path in FOR_CONNECT_TOKENS:
        refused(await agent.request(method, f"/v1{path}"), 401, "UNAUTHORIZED")


async def test_an_agent_key_speaks_for_its_own_agent_only(world: Any) -> None:
    (alice,) = await world.meet("alice")
    await alice.register("luna")
    agent_id = await alice.register("sol")
    _, agent = await alice.agent_client(agent_id)
    assert (await agent.get("/v1/agents/me")).json()["agent"]["id"] == agent_id
    assert len((await agent.get("/v1/agents")).json()["agents"]) == 2
    assert (await agent.get("/v1/agents/sol")).status_code == 200
    refused(await agent.get("/v1/agents/luna"), 403, "SCOPE_MISMATCH")
    refused(await agent.get(f"/v1/agents/luna/can-send?to={agent_id}"), 403, "SCOPE_MISMATCH")
    refused(await agent.post("/v1/agents/luna/disconnect"), 403, "SCOPE_MISMATCH")
    assert (await agent.get("/v1/connections")).status_code == 200
    assert (await agent.post("/v1/agents/sol/disconnect")).status_code == 200


async def test_a_connect_token_is_good_for_connecting_and_nothing_else(world: Any) -> None:
    (alice,) = await world.meet("alice")
    told = await alice.ask("POST", "/agents/register", {"agent_id": "sol"}, status=201)
    principal = await world.resolve(told["connection_token"])
    assert (principal.account_id, principal.agent_id, principal.is_user) == ("", told["id"], False)
    client = world.pairing.client(principal)
    for method, path in (*FOR_ACCOUNTS, *FOR_SESSIONS, *FOR_AGENTS_TOO):
        refused(await client.request(method, f"/v1{path}"), 401, "UNAUTHORIZED")
    refused(await client.post("/v1/agents/connect", json={}), 400, "VALIDATION_ERROR")


async def test_a_user_does_not_connect_in_an_agents_place(world: Any) -> None:
    (alice,) = await world.meet("alice")
    for client in (alice.session, alice.key):
        refused(await client.post("/v1/agents/connect", json={}), 401, "UNAUTHORIZED")


async def test_deleting_a_pairing_takes_a_signed_in_user(world: Any) -> None:
    (alice,) = await world.meet("alice")
    refused(await alice.key.delete(f"/v1/pairings/{ID}"), 403, "SESSION_REQUIRED")
    refused(await alice.session.delete(f"/v1/pairings/{ID}"), 404, "NOT_FOUND")


async def test_a_malformed_plan_stops_the_start(make_world: Callable[..., Awaitable[Any]]) -> None:
    for settings, named in (
        ({"PAIRING_PLANS": "{"}, "PAIRING_PLANS"),
        ({"PAIRING_DEFAULT_PLAN": "gold"}, "PAIRING_DEFAULT_PLAN"),
    ):
        with pytest.raises(Exception, match=named):
            await make_world(**settings)
