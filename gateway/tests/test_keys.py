"""API keys."""

import httpx
import msgspec

from shoal.identity import HEADER, Issuer
from shoal.testing.suite import ServiceUnderTest, Suite


async def test_key_is_shown_once_and_opens_the_same_doors(admin: httpx.AsyncClient, outside) -> None:
    answer = await admin.post("/v1/api-keys", json={"name": "ci"})
    made = answer.json()
    assert answer.status_code == 201
    assert made["id"].startswith("key_")
    assert made["api_key"].startswith("agd_live_")
    other = (await admin.post("/api/v1/api-keys", json={"name": "dashboard"})).json()
    assert other["api_key"].startswith("cn_")
    listed = (await admin.get("/api/v1/api-keys")).json()["keys"]
    assert [key["name"] for key in listed] == ["ci", "dashboard"]
    assert [key["name"] for key in (await admin.get("/v1/api-keys")).json()["keys"]] == ["ci"]
    assert made["api_key"] not in str(listed)
    for key in (made["api_key"], other["api_key"]):
        assert (await outside.visitor(key).get("/api/v1/auth/me")).json()["via"] == "api_key"


async def test_key_cannot_revoke_itself(admin: httpx.AsyncClient, outside) -> None:
    key_id, key = await outside.add_key(admin)
    refused = await outside.visitor(key).delete(f"/v1/api-keys/{key_id}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "SELF_REVOKE")
    assert (await admin.delete(f"/v1/api-keys/{key_id}")).json() == {"id": key_id, "revoked": True}
    assert (await outside.visitor(key).get("/api/v1/auth/me")).status_code == 401
    missing = await admin.delete(f"/v1/api-keys/{key_id}")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_users_see_their_own_keys_and_admins_all(admin: httpx.AsyncClient, outside) -> None:
    await outside.add_user(admin, "bob")
    bob = outside.visitor()
    await outside.sign_in(bob, "bob")
    admins_id, _ = await outside.add_key(admin, "admin's")
    bobs_id, _ = await outside.add_key(bob, "bob's")
    assert [key["id"] for key in (await bob.get("/v1/api-keys")).json()["keys"]] == [bobs_id]
    assert [key["id"] for key in (await admin.get("/v1/api-keys")).json()["keys"]] == [admins_id, bobs_id]
    assert (await bob.delete(f"/v1/api-keys/{admins_id}")).status_code == 404
    assert (await admin.delete(f"/v1/api-keys/{bobs_id}")).status_code == 200


async def test_plan_limits_keys(suite: Suite, outside, admin: httpx.AsyncClient) -> None:
    small = await outside.another_gateway(suite, GATEWAY_PLANS='{"self-hosted": {"max_api_keys": 1}}')
    client = outside.visitor(admin.cookies["shoal_session"], at=small)
    assert (await client.post("/v1/api-keys", json={"name": "one"})).status_code == 201
    refused = await client.post("/v1/api-keys", json={"name": "two"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "KEY_LIMIT_REACHED")


async def test_services_ask_whose_a_credential_is(admin: httpx.AsyncClient, outside, suite: Suite) -> None:
    key_id, key = await outside.add_key(admin)
    ingest = Issuer("telemetry-ingest", suite.installation.services["telemetry-ingest"].private_key)
    query = Issuer("metrics-query", suite.installation.services["metrics-query"].private_key)

    async def ask(issuer: Issuer, credential: str) -> httpx.Response:
        client = outside.visitor(None, **{HEADER.decode(): issuer.issue_own(audience="gateway")})
        return await client.post("/internal/principal", json={"credential": credential})

    found = (await ask(ingest, key)).json()
    assert (found["via"], found["credential_id"], found["username"]) == ("api_key", key_id, "admin")
    assert (await ask(ingest, admin.cookies["shoal_session"])).json()["via"] == "session"
    assert (await ask(ingest, "agd_live_unknown")).status_code == 404
    assert (await ask(ingest, "telem_someone_elses")).status_code == 404
    assert (await ask(query, key)).status_code == 403
    forged = outside.visitor(None, **{HEADER.decode(): "forged"})
    assert (await forged.post("/internal/principal", json={"credential": key})).status_code == 401


async def test_runtime_asks_which_credentials_an_account_has(admin: httpx.AsyncClient, outside, suite: Suite) -> None:
    key_id, key = await outside.add_key(admin)
    (login,) = (await admin.get("/api/v1/auth/logins")).json()

    async def ask(path: str, *, by: str = "agent-runtime", **asked: str) -> httpx.Response:
        issuer = Issuer(by, suite.installation.services[by].private_key)
        client = outside.visitor(None, **{HEADER.decode(): issuer.issue_own(audience="gateway")})
        return await client.post(path, json=asked)

    account_id = (await ask("/internal/principal", credential=key)).json()["account_id"]

    async def knows(credential_id: str, account_id: str = account_id, by: str = "agent-runtime") -> int:
        found = await ask("/internal/credential", by=by, account_id=account_id, credential_id=credential_id)
        return found.status_code

    assert (await knows(key_id), await knows(login["id"]), await knows("key_unknown")) == (200, 200, 404)
    assert await knows(key_id, "acct_other") == await knows(login["id"], "acct_other") == 404
    assert await knows(key_id, by="metrics-query") == 403
    assert (await admin.delete(f"/api/v1/api-keys/{key_id}")).is_success
    assert await knows(key_id) == 404


async def test_agents_credentials_are_asked_of_pairing_and_its_absence_is_no_refusal(
    gateway: ServiceUnderTest, outside
) -> None:
    for credential in ("telem_something", "ada_live_something", "agt_something"):
        answer = await outside.visitor(credential).get("/v1/agents/me")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UPSTREAM_UNAVAILABLE"), answer.text
    assert (await outside.visitor("nonsense").get("/v1/agents/me")).status_code == 401


async def test_telemetry_token_is_an_agent_to_services_and_no_user(
    suite: Suite, admin: httpx.AsyncClient, outside
) -> None:
    await suite.start("pairing")
    opened = (await admin.post("/pairing/init", json={"name": "x"})).json()
    confirmed = (
        await outside.visitor().post("/pairing/confirm", json={"token": opened["token"], "agent_id": "agent_1"})
    ).json()
    agent = outside.visitor(confirmed["telemetry_token"])
    refused = await agent.get("/pairing")
    assert refused.status_code == 403
    assert msgspec.json.decode(refused.content)["error"]["code"] == "forbidden"
