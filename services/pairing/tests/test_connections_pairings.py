"""What becomes of an agent pairing once it is proposed."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from shoal.testing.suite import Suite
from shoal_events import (
    AgentPairingConfirmed,
    AgentPairingPermissionChanged,
    AgentPairingRevoked,
)

from .scenes import Scene, refused


async def test_nothing_passes_before_the_other_side_confirms(scene: Scene, suite: Suite) -> None:
    pairing_id = await scene.proposed()
    assert await scene.seen_by_both() == ((False, False), (False, False))
    refused(await scene.alice.key.post(f"/v1/pairings/{pairing_id}/confirm"), 403, "CANNOT_CONFIRM_OWN")
    told = await scene.bob.ask("POST", f"/pairings/{pairing_id}/confirm")
    assert (told["id"], told["status"]) == (pairing_id, "active")
    assert told["confirmed_at"]
    assert told["message"] == "Pairing confirmed. Agents can now exchange files."
    assert await scene.seen_by_both() == ((True, True), (True, True))
    for side in (scene.alice, scene.bob):
        refused(await side.key.post(f"/v1/pairings/{pairing_id}/confirm"), 400, "INVALID_STATUS")
    (event,) = await suite.events(AgentPairingConfirmed)
    assert (event.agent_pairing_id, event.permission, event.version) == (pairing_id, "both", 2)


@pytest.mark.parametrize(
    ("permission", "flipped", "passes"),
    [
        ("both", "both", (True, True)),
        ("send_only", "receive_only", (True, False)),
        ("receive_only", "send_only", (False, True)),
    ],
)
async def test_one_permission_is_seen_from_both_sides(
    scene: Scene, permission: str, flipped: str, passes: tuple[bool, bool]
) -> None:
    pairing_id = await scene.paired(permission)
    for side, seen in ((scene.alice, permission), (scene.bob, flipped)):
        shown = await side.ask("GET", f"/pairings/{pairing_id}")
        assert (shown["permission"], shown["raw_permission"]) == (seen, permission)
    assert await scene.seen_by_both() == (passes, passes[::-1])


async def test_a_change_by_either_side_waits_for_the_other(scene: Scene, suite: Suite) -> None:
    pairing_id = await scene.paired()
    told = await scene.bob.ask("PATCH", f"/pairings/{pairing_id}", {"permission": "send_only"})
    assert told == {
        "id": pairing_id,
        "permission": "send_only",
        "status": "pending",
        "message": "Permission updated. The other side must re-confirm the pairing.",
    }
    assert await scene.seen_by_both() == ((False, False), (False, False))
    shown = await scene.alice.ask("GET", f"/pairings/{pairing_id}")
    assert (shown["permission"], shown["raw_permission"]) == ("receive_only", "receive_only")
    assert (shown["proposed_by"], shown["awaiting_account_id"]) == ("acct_alice", "acct_alice")
    refused(await scene.bob.key.post(f"/v1/pairings/{pairing_id}/confirm"), 403, "CANNOT_CONFIRM_OWN")
    await scene.alice.ask("POST", f"/pairings/{pairing_id}/confirm")
    assert await scene.seen_by_both() == ((False, True), (True, False))
    (event,) = await suite.events(AgentPairingPermissionChanged)
    assert (event.permission, event.awaiting_account_id, event.version) == ("receive_only", "acct_alice", 3)


async def test_a_confirmation_may_say_what_it_means(scene: Scene) -> None:
    pairing_id = await scene.proposed("send_only")
    await scene.alice.ask("PATCH", f"/pairings/{pairing_id}", {"permission": "both"})
    path = f"/v1/pairings/{pairing_id}/confirm"
    refused(await scene.bob.key.post(path, json={"permission": "receive_only"}), 409, "PERMISSION_CHANGED")
    assert (await scene.bob.key.post(path, json={"permission": "both"})).status_code == 200


async def test_a_counter_proposal_is_for_the_proposer_to_confirm(scene: Scene) -> None:
    pairing_id = await scene.proposed()
    await scene.bob.ask("PATCH", f"/pairings/{pairing_id}", {"permission": "receive_only"})
    refused(await scene.bob.key.post(f"/v1/pairings/{pairing_id}/confirm"), 403, "CANNOT_CONFIRM_OWN")
    await scene.alice.ask("POST", f"/pairings/{pairing_id}/confirm")
    assert await scene.seen_by_both() == ((True, False), (False, True))


async def test_change_refuses_what_it_cannot_do(scene: Scene) -> None:
    pairing_id = await scene.proposed()
    path = f"/v1/pairings/{pairing_id}"
    for body in ({}, {"permission": "all"}, {"permission": None}):
        refused(await scene.alice.key.patch(path, json=body), 400, "VALIDATION_ERROR")
    await scene.alice.session.delete(path)
    refused(await scene.alice.key.patch(path, json={"permission": "both"}), 400, "INVALID_STATUS")
    refused(await scene.bob.key.post(f"{path}/confirm"), 400, "INVALID_STATUS")


async def test_the_awaited_side_may_reject(scene: Scene, suite: Suite) -> None:
    pairing_id = await scene.proposed()
    refused(await scene.alice.key.post(f"/v1/pairings/{pairing_id}/reject"), 403, "CANNOT_REJECT_OWN")
    told = await scene.bob.ask("POST", f"/pairings/{pairing_id}/reject")
    assert told == {"id": pairing_id, "status": "rejected"}
    shown = await scene.alice.ask("GET", f"/pairings/{pairing_id}")
    assert (shown["status"], shown["revoked_reason"]) == ("revoked", "rejected")
    refused(await scene.bob.key.post(f"/v1/pairings/{pairing_id}/reject"), 400, "INVALID_STATUS")
    (event,) = await suite.events(AgentPairingRevoked)
    assert event.reason == "rejected"
    assert (await scene.propose()).status_code == 201


async def test_a_signed_in_user_of_either_side_ends_a_pairing_for_good(scene: Scene, suite: Suite) -> None:
    for side in (scene.alice, scene.bob):
        pairing_id = await scene.paired()
        refused(await side.key.delete(f"/v1/pairings/{pairing_id}"), 403, "SESSION_REQUIRED")
        answer = await side.session.delete(f"/v1/pairings/{pairing_id}")
        assert answer.json() == {"id": pairing_id, "status": "revoked"}
        refused(await side.session.delete(f"/v1/pairings/{pairing_id}"), 400, "ALREADY_REVOKED")
        assert await scene.seen_by_both() == ((False, False), (False, False))
    assert len(await suite.events(AgentPairingRevoked, count=2)) == 2


async def test_list_shows_every_status_newest_first_with_keys_in_canonical_order(scene: Scene) -> None:
    ended = await scene.paired("send_only")
    await scene.alice.session.delete(f"/v1/pairings/{ended}")
    pending = await scene.proposed()
    listed = (await scene.bob.ask("GET", f"/connections/{scene.connection}/pairings"))["pairings"]
    assert [(item["id"], item["status"]) for item in listed] == [(pending, "pending"), (ended, "revoked")]
    assert set(listed[0]) >= {
        *("id", "agent_a", "agent_b", "status", "permission", "raw_permission", "proposed_by"),
        *("agent_a_public_key", "agent_a_key_version", "agent_b_public_key", "agent_b_key_version"),
        *("created_at", "confirmed_at", "revoked_at"),
    }
    for item in listed:
        assert item["agent_a"]["id"] < item["agent_b"]["id"]
        assert {item["agent_a"]["account_id"], item["agent_b"]["account_id"]} == {"acct_alice", "acct_bob"}
    assert listed[0]["agent_a_public_key"]
    assert (listed[1]["agent_a_public_key"], listed[1]["agent_b_public_key"]) == (None, None)
    (item,) = (await scene.alice.ask("GET", "/connections"))["connections"]
    assert (item["pairing_count"], item["pending_pairing_count"]) == (0, 1)
    assert (await scene.alice.ask("GET", "/connections"))["pending_pairings_count"] == 1


async def test_pairings_are_listed_across_connections_by_status_and_direction(scene: Scene, world: Any) -> None:
    (carol,) = await world.meet("carol")
    active, other = await scene.paired(), await carol.connect(scene.bob)
    body = {"my_agent_id": await carol.register(), "their_agent_id": scene.theirs}
    waiting = (await carol.ask("POST", f"/connections/{other}/pairings", body, status=201))["id"]

    async def ids(side: Any, query: str) -> list[str]:
        return [item["id"] for item in (await side.ask("GET", f"/pairings{query}"))["pairings"]]

    assert await ids(scene.bob, "") == [waiting, active]
    assert await ids(scene.bob, "?status=active") == [active]
    assert await ids(scene.bob, "?direction=incoming") == [waiting]
    assert await ids(scene.bob, "?direction=outgoing") == []
    assert await ids(carol, "?status=pending&direction=outgoing") == [waiting]
    assert await ids(scene.alice, "") == [active]
    refused(await scene.bob.key.get("/v1/pairings?direction=up"), 400, "VALIDATION_ERROR")
    _, agent = await scene.bob.agent_client(await scene.bob.register())
    assert (await agent.get("/v1/pairings")).json() == {"pairings": []}
    _, agent = await scene.bob.agent_client(scene.theirs)
    assert len((await agent.get("/v1/pairings")).json()["pairings"]) == 2


async def test_absent_and_foreign_pairings_are_answered_alike(scene: Scene, world: Any) -> None:
    (carol,) = await world.meet("carol")
    foreign = await scene.proposed()
    for method, tail, body in (
        ("GET", "", None),
        ("PATCH", "", {"permission": "both"}),
        ("DELETE", "", None),
        ("POST", "/confirm", None),
        ("POST", "/reject", None),
    ):
        paths = [f"/v1/pairings/{pairing_id}{tail}" for pairing_id in (foreign, uuid4())]
        answers = [await carol.session.request(method, path, json=body) for path in paths]
        for answer in answers:
            refused(answer, 404, "NOT_FOUND")
        assert len({answer.json()["detail"] for answer in answers}) == 1


async def test_agents_of_one_account_need_no_pairing(scene: Scene) -> None:
    second, third = await scene.alice.register(), await scene.alice.register(connected=False)
    assert await scene.alice.can_send(scene.mine, second) == (True, True)
    assert await scene.alice.can_send(scene.mine, third) == (False, False)


async def test_can_send_does_not_tell_whether_another_agent_exists(scene: Scene) -> None:
    assert await scene.alice.can_send(scene.mine, scene.theirs) == (False, False)
    assert await scene.alice.can_send(scene.mine, str(uuid4())) == (False, False)
    refused(await scene.alice.key.get(f"/v1/agents/{scene.mine}/can-send?to=theirs"), 400, "VALIDATION_ERROR")
    refused(await scene.alice.key.get(f"/v1/agents/{scene.mine}/can-send"), 400, "VALIDATION_ERROR")


async def test_a_confirmation_and_an_end_of_the_connection_at_once_leave_nothing_open(scene: Scene) -> None:
    for _ in range(5):
        pairing_id = await scene.proposed()
        answers = await asyncio.gather(
            scene.bob.key.post(f"/v1/pairings/{pairing_id}/confirm"),
            scene.alice.key.delete(f"/v1/connections/{scene.connection}"),
            scene.propose(their_agent_id=await scene.bob.register()),
        )
        assert max(answer.status_code for answer in answers) < 500
        listed = (await scene.alice.ask("GET", "/pairings"))["pairings"]
        assert {item["status"] for item in listed} == {"revoked"}
        scene.connection = await scene.alice.connect(scene.bob)


async def test_a_proposal_and_the_deletion_of_an_agent_at_once_leave_nothing_open(scene: Scene) -> None:
    for _ in range(5):
        agent = await scene.bob.register()
        answers = await asyncio.gather(scene.propose(their_agent_id=agent), scene.bob.key.delete(f"/v1/agents/{agent}"))
        assert max(answer.status_code for answer in answers) < 500
    listed = (await scene.alice.ask("GET", "/pairings"))["pairings"]
    assert {item["status"] for item in listed} <= {"revoked"}
