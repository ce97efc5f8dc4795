"""The contract's call that creates an agent pairing: its answer, and its table of errors row by row."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from shoal.testing.suite import Suite
from shoal_events import (
    AgentPairingProposed,
)

from .scenes import Scene, connected, refused


async def test_create_answers_as_the_contract_shows(scene: Scene, suite: Suite) -> None:
    answer = await scene.propose(permission="send_only")
    assert answer.status_code == 201
    body = answer.json()
    pairing_id = body.pop("id")
    assert body == {
        "status": "pending",
        "my_agent": {"id": scene.mine, "agent_id": "mine", "name": "mine"},
        "their_agent": {"id": scene.theirs, "agent_id": "theirs", "name": "theirs"},
        "permission": "send_only",
        "proposed_by": "acct_alice",
    }
    (event,) = await suite.events(AgentPairingProposed)
    assert (event.agent_pairing_id, event.connection_id) == (pairing_id, scene.connection)
    assert (event.permission, event.awaiting_account_id, event.version) == ("send_only", "acct_bob", 1)


async def test_create_takes_both_for_granted(scene: Scene) -> None:
    assert (await scene.propose()).json()["permission"] == "both"


@pytest.mark.parametrize(
    "changes",
    [
        {"my_agent_id": None},
        {"my_agent_id": "mine"},
        {"their_agent_id": 7},
        {"their_agent_id": "x"},
        {"permission": "all"},
        {"permission": None},
        {"permission": ["both"]},
    ],
)
async def test_400_validation_error(scene: Scene, changes: dict[str, Any]) -> None:
    answer = await scene.propose(**changes)
    refused(answer, 400, "VALIDATION_ERROR")
    assert [problem["field"] for problem in answer.json()["error"]["details"]] == list(changes)


async def test_400_connection_not_active(scene: Scene) -> None:
    pending = await scene.alice.ask("POST", "/connections", {"email": "nobody@example.com"}, status=201)
    revoked = scene.connection
    await scene.bob.ask("DELETE", f"/connections/{revoked}")
    for scene.connection in (pending["id"], revoked):
        refused(await scene.propose(), 400, "CONNECTION_NOT_ACTIVE")


async def test_400_agent_not_connected(scene: Scene) -> None:
    await scene.alice.ask("POST", "/agents/mine/disconnect")
    refused(await scene.propose(), 400, "AGENT_NOT_CONNECTED")
    pending = await scene.alice.register(connected=False)
    refused(await scene.propose(my_agent_id=pending), 400, "AGENT_NOT_CONNECTED")


async def test_400_target_not_connected(scene: Scene) -> None:
    await scene.bob.ask("POST", "/agents/theirs/disconnect")
    refused(await scene.propose(), 400, "TARGET_NOT_CONNECTED")


async def test_401_unauthorized(scene: Scene) -> None:
    nobody = scene.alice.world.pairing.client()
    refused(await nobody.post(f"/v1/connections/{scene.connection}/pairings", json={}), 401, "UNAUTHORIZED")


async def test_403_agent_not_available(scene: Scene) -> None:
    await scene.bob.ask("PATCH", "/agents/theirs", {"available_for_connections": False})
    refused(await scene.propose(), 403, "AGENT_NOT_AVAILABLE")


async def test_403_plan_limit_reached(make_world: Callable[..., Awaitable[Any]]) -> None:
    plans = '{"small": {"max_pairings_per_connection": 2}}'
    scene = await connected(await make_world(PAIRING_PLANS=plans, PAIRING_DEFAULT_PLAN="small"))
    agents = [await scene.bob.register() for _ in range(6)]
    answers = await asyncio.gather(*(scene.propose(their_agent_id=agent) for agent in agents))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 403, 403, 403, 403]
    refused(next(answer for answer in answers if answer.status_code == 403), 403, "PLAN_LIMIT_REACHED")
    pairing_id = next(answer.json()["id"] for answer in answers if answer.status_code == 201)
    await scene.alice.session.delete(f"/v1/pairings/{pairing_id}")
    assert (await scene.propose()).status_code == 201


async def test_404_not_found(scene: Scene, world: Any) -> None:
    (carol,) = await world.meet("carol")
    foreign = await carol.connect(scene.bob)
    for scene.connection in (str(uuid4()), foreign, "not-a-uuid"):
        refused(await scene.propose(), 404, "NOT_FOUND")


async def test_404_agent_not_found(scene: Scene, world: Any) -> None:
    (carol,) = await world.meet("carol")
    carols, gone = await carol.register(), await scene.bob.register()
    await scene.bob.ask("DELETE", f"/agents/{gone}")
    for changes in (
        {"my_agent_id": str(uuid4())},
        {"my_agent_id": carols},
        {"my_agent_id": scene.theirs},
        {"their_agent_id": str(uuid4())},
        {"their_agent_id": carols},
        {"their_agent_id": scene.mine},
        {"their_agent_id": gone},
        {"my_agent_id": scene.theirs, "their_agent_id": scene.mine},
    ):
        refused(await scene.propose(**changes), 404, "AGENT_NOT_FOUND")


async def test_409_pairing_exists(scene: Scene) -> None:
    pairing_id = await scene.proposed()
    await scene.alice.ask("PATCH", "/agents/mine", {"available_for_connections": True})
    from_bob = {"my_agent_id": scene.theirs, "their_agent_id": scene.mine}
    path = f"/v1/connections/{scene.connection}/pairings"
    for _ in ("pending", "active"):
        refused(await scene.propose(permission="send_only"), 409, "PAIRING_EXISTS")
        refused(await scene.bob.key.post(path, json=from_bob), 409, "PAIRING_EXISTS")
        await scene.bob.key.post(f"/v1/pairings/{pairing_id}/confirm")
    await scene.alice.session.delete(f"/v1/pairings/{pairing_id}")
    assert (await scene.bob.key.post(path, json=from_bob)).status_code == 201


async def test_errors_come_in_the_documented_order(make_world: Callable[..., Awaitable[Any]]) -> None:
    """Everything is wrong at once; whatever is answered is mended, and the next row has its turn."""
    world = await make_world(
        PAIRING_PLANS='{"small": {"max_pairings_per_connection": 1}}', PAIRING_DEFAULT_PLAN="small"
    )
    alice, bob = await world.meet("alice", "bob")
    mine = await alice.register("mine", connected=False)
    theirs = await bob.register("theirs", available=False, connected=False)
    body: dict[str, Any] = {"my_agent_id": str(uuid4()), "their_agent_id": str(uuid4()), "permission": "all"}
    connection = await alice.ask("POST", "/connections", {"email": bob.email}, status=201)
    path, client = f"/v1/connections/{uuid4()}/pairings", world.pairing.client()

    refused(await client.post(path, json=body), 401, "UNAUTHORIZED")
    client = alice.key
    refused(await client.post(path, json=body), 400, "VALIDATION_ERROR")
    body["permission"] = "both"
    refused(await client.post(path, json=body), 404, "NOT_FOUND")
    path = f"/v1/connections/{connection['id']}/pairings"
    refused(await client.post(path, json=body), 400, "CONNECTION_NOT_ACTIVE")
    await bob.ask("POST", f"/connections/{connection['id']}/accept")
    refused(await client.post(path, json=body), 404, "AGENT_NOT_FOUND")
    body["my_agent_id"] = mine
    refused(await client.post(path, json=body), 404, "AGENT_NOT_FOUND")
    body["their_agent_id"] = theirs
    refused(await client.post(path, json=body), 400, "AGENT_NOT_CONNECTED")
    await _connect(world, alice, mine)
    refused(await client.post(path, json=body), 400, "TARGET_NOT_CONNECTED")
    await _connect(world, bob, theirs)
    refused(await client.post(path, json=body), 403, "AGENT_NOT_AVAILABLE")
    await bob.ask("PATCH", "/agents/theirs", {"available_for_connections": True})
    assert (await client.post(path, json=body)).status_code == 201
    refused(await client.post(path, json=body), 409, "PAIRING_EXISTS")
    body["their_agent_id"] = await bob.register()
    refused(await client.post(path, json=body), 403, "PLAN_LIMIT_REACHED")


async def test_of_twenty_creates_at_once_exactly_one_succeeds(scene: Scene, suite: Suite) -> None:
    await scene.alice.ask("PATCH", "/agents/mine", {"available_for_connections": True})
    from_bob = {"my_agent_id": scene.theirs, "their_agent_id": scene.mine}
    path = f"/v1/connections/{scene.connection}/pairings"
    answers = await asyncio.gather(
        *(scene.propose() for _ in range(10)), *(scene.bob.key.post(path, json=from_bob) for _ in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert {answer.json()["error"]["code"] for answer in answers if answer.status_code == 409} == {"PAIRING_EXISTS"}
    assert len((await scene.alice.ask("GET", "/pairings"))["pairings"]) == 1
    assert len(await suite.events(AgentPairingProposed)) == 1


async def _connect(world: Any, side: Any, agent: str) -> None:
    token = (await side.ask("POST", f"/agents/{agent}/token"))["connection_token"]
    client = world.pairing.client(await world.resolve(token))
    key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    assert (await client.post("/v1/agents/connect", json={"public_key": key})).status_code == 200
