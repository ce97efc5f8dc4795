"""What users and agents meet at the door."""

import asyncio
import base64
from datetime import datetime

import httpx
import pytest

from shoal.identity import Issuer, Role, Via
from shoal.testing.suite import ServiceUnderTest, Suite, user
from shoal_events import PairingConfirmed, PairingDeleted, PairingOpened, PairingRenamed, PairingTokenReissued

from .scenes import refused

ALICE = user("acct_1", "user_alice")
BOB = user("acct_2", "user_bob")
AGENT = {
    "agent_id": "agent_abc123",
    "instance_info": {"version": "1.2.3", "os": "linux", "hostname": "prod-server-1", "node_version": "20.10.0"},
}


async def opened(pairing: ServiceUnderTest, name: str = "Production Server") -> dict[str, str]:
    answer = await pairing.client(ALICE).post("/pairing/init", json={"name": name})
    assert answer.status_code == 200
    return answer.json()


async def confirmed(pairing: ServiceUnderTest) -> dict:
    token = (await opened(pairing))["token"]
    answer = await pairing.client().post("/pairing/confirm", json={"token": token, **AGENT})
    assert answer.status_code == 200
    return answer.json()


async def test_init_answers_as_the_contract_shows(pairing: ServiceUnderTest, suite: Suite) -> None:
    body = await opened(pairing)
    assert set(body) == {"pairing_id", "token", "qr_code", "expires_at"}
    assert body["pairing_id"].startswith("pair_")
    assert body["token"].startswith("clawdnet_pair_")
    picture = base64.b64decode(body["qr_code"].removeprefix("data:image/png;base64,"))
    assert picture.startswith(b"\x89PNG")
    (event,) = await suite.events(PairingOpened)
    assert (event.pairing_id, event.name) == (body["pairing_id"], "Production Server")
    assert event.expires_at == datetime.fromisoformat(body["expires_at"])


async def test_init_needs_no_body(pairing: ServiceUnderTest) -> None:
    answer = await pairing.client(ALICE).post("/pairing/init")
    assert answer.status_code == 200


async def test_what_a_plain_user_opened_is_the_accounts(pairing: ServiceUnderTest) -> None:
    program = pairing.client(user("acct_1", "user_carol", via=Via.API_KEY, role=Role.USER))
    made = (await program.post("/pairing/init")).json()
    seen = (await pairing.client(ALICE).get(f"/pairing/{made['pairing_id']}/history")).json()
    assert [(one["action"], one["actor"]) for one in seen["history"]] == [("opened", "user:user_carol")]
    assert (await pairing.client(ALICE).delete(f"/pairing/{made['pairing_id']}")).status_code == 200


async def test_confirm_answers_as_the_contract_shows(pairing: ServiceUnderTest, suite: Suite) -> None:
    body = await confirmed(pairing)
    assert set(body) == {"pairing_id", "status", "agent", "websocket_url", "telemetry_token", "created_at"}
    assert body["status"] == "active"
    assert body["agent"] == {"id": "agent_abc123", "handle": "abc123"}
    assert body["websocket_url"] == "ws://127.0.0.1:8080/telemetry"
    assert body["telemetry_token"].startswith("telem_")
    (event,) = await suite.events(PairingConfirmed)
    assert (event.pairing_id, event.agent_id, event.account_id) == (body["pairing_id"], "agent_abc123", "acct_1")
    assert body["telemetry_token"] not in event.to_json().decode()


async def test_confirm_takes_a_token_once(pairing: ServiceUnderTest) -> None:
    token = (await opened(pairing))["token"]
    client = pairing.client()
    assert (await client.post("/pairing/confirm", json={"token": token, **AGENT})).status_code == 200
    refused(await client.post("/pairing/confirm", json={"token": token, **AGENT}), 400, "invalid_token")


async def test_a_hundred_concurrent_confirms_make_one_pairing(pairing: ServiceUnderTest, suite: Suite) -> None:
    token = (await opened(pairing))["token"]
    client = pairing.client()
    answers = await asyncio.gather(
        *(
            client.post("/pairing/confirm", json={"token": token, "agent_id": f"agent_{number}"})
            for number in range(100)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 99
    assert len(await suite.events(PairingConfirmed)) == 1
    assert (await pairing.client(ALICE).get("/pairing")).json()["total"] == 1


async def test_confirm_rejects_unknown_and_expired_tokens(suite: Suite) -> None:
    pairing = await suite.start("pairing", PAIRING_TOKEN_TTL="0s")
    refused(
        await pairing.client().post("/pairing/confirm", json={"token": "clawdnet_pair_x", **AGENT}),
        400,
        "invalid_token",
    )
    token = (await opened(pairing))["token"]
    refused(await pairing.client().post("/pairing/confirm", json={"token": token, **AGENT}), 400, "token_expired")


@pytest.mark.parametrize(
    "change",
    [
        {"agent_id": "has space"},
        {"agent_id": "a.b"},
        {"agent_id": "*"},
        {"agent_id": ">"},
        {"agent_id": "a\n"},
        {"agent_id": ""},
        {"agent_id": "x" * 65},
        {"agent_id": 7},
        {"agent_id": None},
        {"token": ""},
        {"token": None},
        {"token": "x" * 257},
        {"instance_info": []},
        {"instance_info": {"x": "y" * 5000}},
        {"handle": "no spaces"},
    ],
)
async def test_confirm_validates_every_field(pairing: ServiceUnderTest, change: dict) -> None:
    token = (await opened(pairing))["token"]
    refused(
        await pairing.client().post("/pairing/confirm", json={"token": token, **AGENT} | change),
        422,
        "validation_error",
    )


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"name": "a\\u0000b"}',
        b'{"name": NaN}',
        b'{"name": ""}',
        b'{"name": "   "}',
        b'{"name": ' + b"9" * 30 + b"}",
        b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"name": "' + b"x" * 101 + b'"}',
    ],
)
async def test_hostile_bodies_are_validation_errors(pairing: ServiceUnderTest, body: bytes) -> None:
    answer = await pairing.client(ALICE).post(
        "/pairing/init", content=body, headers={"content-type": "application/json"}
    )
    refused(answer, 422, "validation_error")


async def test_a_body_that_is_not_json_is_refused(pairing: ServiceUnderTest) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = await pairing.client(ALICE).post(
            "/pairing/init", content=b'{"name": "x"}', headers={"content-type": content_type}
        )
        refused(answer, 415, "unsupported_media_type")


async def test_list_shows_pending_and_disconnected_of_one_account(pairing: ServiceUnderTest) -> None:
    body = await confirmed(pairing)
    await opened(pairing, "Second")
    listed = (await pairing.client(ALICE).get("/pairing")).json()
    assert listed["total"] == 2
    first, second = listed["pairings"]
    assert first["id"] == body["pairing_id"]
    assert first["status"] == "disconnected"
    assert first["agent"] == {"id": "agent_abc123", "handle": "abc123"}
    assert first["instance_info"] == AGENT["instance_info"]
    assert (second["name"], second["status"], second["agent"]) == ("Second", "pending", None)
    assert (await pairing.client(BOB).get("/pairing")).json() == {"pairings": [], "total": 0}


async def test_another_accounts_pairing_is_not_found(pairing: ServiceUnderTest) -> None:
    pairing_id = (await confirmed(pairing))["pairing_id"]
    stranger = pairing.client(BOB)
    for answer in (
        await stranger.get(f"/pairing/{pairing_id}"),
        await stranger.get(f"/pairing/{pairing_id}/history"),
        await stranger.patch(f"/pairing/{pairing_id}", json={"name": "mine"}),
        await stranger.post(f"/pairing/{pairing_id}/telemetry-token"),
        await stranger.delete(f"/pairing/{pairing_id}"),
        await stranger.delete("/pairing/pair_never"),
    ):
        refused(answer, 404, "not_found")


async def test_delete_answers_as_the_contract_shows_and_ends_the_token(pairing: ServiceUnderTest, suite: Suite) -> None:
    body = await confirmed(pairing)
    client = pairing.client(ALICE)
    answer = await client.delete(f"/pairing/{body['pairing_id']}")
    assert answer.json() == {"deleted": True, "id": body["pairing_id"]}
    refused(await client.delete(f"/pairing/{body['pairing_id']}"), 404, "not_found")
    (event,) = await suite.events(PairingDeleted)
    assert (event.pairing_id, event.agent_id, event.reason) == (body["pairing_id"], "agent_abc123", "deleted")
    asked = await as_service(pairing, suite, "telemetry-ingest").post(
        "/internal/principal", json={"credential": body["telemetry_token"]}
    )
    assert asked.status_code == 404


async def test_rename_changes_the_name_and_says_so(pairing: ServiceUnderTest, suite: Suite) -> None:
    pairing_id = (await confirmed(pairing))["pairing_id"]
    answer = await pairing.client(ALICE).patch(f"/pairing/{pairing_id}", json={"name": " Kitchen "})
    assert (answer.status_code, answer.json()["name"]) == (200, "Kitchen")
    (event,) = await suite.events(PairingRenamed)
    assert (event.name, event.version) == ("Kitchen", 3)


async def test_reissue_ends_the_old_token(pairing: ServiceUnderTest, suite: Suite) -> None:
    body = await confirmed(pairing)
    answer = await pairing.client(ALICE).post(f"/pairing/{body['pairing_id']}/telemetry-token")
    fresh = answer.json()["telemetry_token"]
    ingest = as_service(pairing, suite, "telemetry-ingest")
    old = await ingest.post("/internal/principal", json={"credential": body["telemetry_token"]})
    new = await ingest.post("/internal/principal", json={"credential": fresh})
    assert (old.status_code, new.status_code) == (404, 200)
    assert new.json()["agent_id"] == "agent_abc123"
    assert len(await suite.events(PairingTokenReissued)) == 1


async def test_a_pending_pairing_has_no_telemetry_token(pairing: ServiceUnderTest) -> None:
    pairing_id = (await opened(pairing))["pairing_id"]
    answer = await pairing.client(ALICE).post(f"/pairing/{pairing_id}/telemetry-token")
    refused(answer, 400, "not_confirmed")


async def test_history_tells_who_did_what_from_where(pairing: ServiceUnderTest) -> None:
    pairing_id = (await confirmed(pairing))["pairing_id"]
    await pairing.client(ALICE).patch(f"/pairing/{pairing_id}", json={"name": "x"})
    entries = (await pairing.client(ALICE).get(f"/pairing/{pairing_id}/history")).json()["history"]
    assert [(entry["action"], entry["actor"]) for entry in entries] == [
        ("opened", "user:user_alice"),
        ("confirmed", "agent:agent_abc123"),
        ("renamed", "user:user_alice"),
    ]
    assert entries[0]["source"] == "127.0.0.1"


async def test_only_users_manage_pairings(pairing: ServiceUnderTest) -> None:
    for nobody in (None, user(via=Via.TELEMETRY_TOKEN)):
        client = pairing.client(nobody)
        refused(await client.get("/pairing"), 401, "unauthorized")
        refused(await client.post("/pairing/init", json={}), 401, "unauthorized")
        refused(await client.delete("/pairing/pair_1"), 401, "unauthorized")


async def test_export_tells_every_confirmed_pairing_page_by_page(pairing: ServiceUnderTest, suite: Suite) -> None:
    for _ in range(3):
        body = await confirmed(pairing)
    await opened(pairing)
    await pairing.client(ALICE).delete(f"/pairing/{body['pairing_id']}")
    client, facts, after = as_service(pairing, suite, "metrics-query"), [], ""
    while after is not None:
        page = (await client.get("/internal/export", params={"after": after, "limit": 2})).json()
        facts += page["items"]
        after = page["next"]
    assert sorted(fact["type"] for fact in facts) == ["pairing.confirmed.v1"] * 2 + ["pairing.deleted.v1"]


async def test_internal_routes_are_for_permitted_services_only(pairing: ServiceUnderTest, suite: Suite) -> None:
    refused(await pairing.client(ALICE).get("/internal/export"), 401, "unauthorized")
    refused(await as_service(pairing, suite, "ssh-manager").get("/internal/export"), 403, "forbidden")


async def test_problem_details_on_request(pairing: ServiceUnderTest) -> None:
    answer = await pairing.client(ALICE).get("/pairing/pair_never", headers={"accept": "application/problem+json"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["status"], answer.json()["code"]) == (404, "not_found")


HELD = {"pairing_id": "pair_held", "account_id": "acct_1", "user_id": "user_alice", "name": "Bot Alpha"}


async def test_a_held_pairing_is_opened_once_and_its_token_is_given_anew(
    pairing: ServiceUnderTest, suite: Suite
) -> None:
    orchestrator = as_service(pairing, suite, "instance-orchestrator")
    first = (await orchestrator.post("/internal/pairings", json=HELD)).json()
    second = (await orchestrator.post("/internal/pairings", json=HELD)).json()
    assert (first["pairing_id"], first["status"]) == ("pair_held", "pending")
    assert first["token"] != second["token"]
    refused(
        await pairing.client().post("/pairing/confirm", json={"token": first["token"], **AGENT}), 400, "invalid_token"
    )
    answer = await pairing.client().post("/pairing/confirm", json={"token": second["token"], **AGENT})
    assert answer.status_code == 200
    third = (await orchestrator.post("/internal/pairings", json=HELD)).json()
    assert (third["status"], third["token"]) == ("active", None)
    assert len(await suite.events(PairingOpened)) == 1
    assert (await pairing.client(ALICE).get("/pairing")).json()["total"] == 1


async def test_a_held_pairing_that_ended_or_is_not_the_accounts_is_not_found(
    pairing: ServiceUnderTest, suite: Suite
) -> None:
    orchestrator = as_service(pairing, suite, "instance-orchestrator")
    await orchestrator.post("/internal/pairings", json=HELD)
    other = await orchestrator.post("/internal/pairings", json=HELD | {"account_id": "acct_2"})
    refused(other, 404, "not_found")
    await pairing.client(ALICE).delete("/pairing/pair_held")
    refused(await orchestrator.post("/internal/pairings", json=HELD), 404, "not_found")


async def test_only_the_orchestrator_holds_pairings(pairing: ServiceUnderTest, suite: Suite) -> None:
    refused(await pairing.client(ALICE).post("/internal/pairings", json=HELD), 401, "unauthorized")
    refused(await as_service(pairing, suite, "gateway").post("/internal/pairings", json=HELD), 403, "forbidden")


def as_service(pairing: ServiceUnderTest, suite: Suite, name: str) -> httpx.AsyncClient:
    token = Issuer(name, suite.installation.services[name].private_key).issue_own(audience="pairing")
    client = pairing.client()
    client.headers["x-shoal-identity"] = token
    return client
