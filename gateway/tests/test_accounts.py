"""Accounts and users."""

import asyncio

import httpx

from shoal.identity import HEADER, Issuer
from shoal.testing.suite import Suite
from shoal_events import AccountDeleted, ApiKeyRevoked, LoginEnded, UserDeleted, UserUpdated


async def test_admin_makes_lists_and_deletes_users(admin: httpx.AsyncClient, outside, suite: Suite) -> None:
    answer = await admin.post("/api/v1/users", json={"username": "bob", "password": outside.password})
    assert answer.json() | {"id": ""} == {"id": "", "username": "bob", "role": "user", "email": "bob@localhost"}
    listed = (await admin.get("/api/v1/users")).json()
    assert [user["username"] for user in listed] == ["admin", "bob"]
    assert {"id", "username", "role", "created_at"} <= set(listed[0])
    bob = outside.visitor()
    await outside.sign_in(bob, "bob")
    await outside.add_key(bob)
    removed = await admin.delete(f"/api/v1/users/{listed[1]['id']}")
    assert (removed.status_code, removed.content) == (204, b"")
    assert (await bob.get("/api/v1/auth/me")).status_code == 401
    assert (await suite.events(UserDeleted))[0].user_id == listed[1]["id"]
    assert (await suite.events(LoginEnded))[0].reason == "user_deleted"
    assert (await suite.events(ApiKeyRevoked))[0].user_id == listed[1]["id"]
    assert (
        await admin.post("/api/v1/users", json={"username": "BOB", "password": outside.password})
    ).status_code == 201


async def test_names_and_addresses_are_unique_in_whatever_case(admin: httpx.AsyncClient, outside) -> None:
    await outside.add_user(admin, "bob", email="bob@example.com")
    taken = await admin.post("/api/v1/users", json={"username": "Bob", "password": outside.password})
    assert (taken.status_code, taken.json()["detail"]) == (409, "Username already exists")
    body = {"username": "rob", "password": outside.password, "email": "BOB@example.com"}
    assert (await admin.post("/api/v1/users", json=body)).status_code == 409
    body = {"name": "other", "admin": {"username": "bob", "password": outside.password}}
    assert (await admin.post("/api/v1/accounts", json=body)).status_code == 409
    assert (await admin.get("/api/v1/accounts")).json()["total"] == 1


async def test_address_of_a_user_can_be_changed(outside, admin: httpx.AsyncClient, suite: Suite) -> None:
    bob_id = await outside.add_user(admin, "bob")
    changed = await admin.patch(f"/api/v1/users/{bob_id}", json={"email": "bob@example.com"})
    assert (changed.status_code, changed.json()["email"]) == (200, "bob@example.com")
    assert (await suite.events(UserUpdated))[0].email == "bob@example.com"
    assert (await admin.patch(f"/api/v1/users/{bob_id}", json={"email": "admin@localhost"})).status_code == 409
    assert (await admin.patch(f"/api/v1/users/{bob_id}", json={"email": "nonsense"})).status_code == 400


async def test_role_holds_at_once(admin: httpx.AsyncClient, outside, suite: Suite) -> None:
    bob_id, bob = await outside.add_user(admin, "bob"), outside.visitor()
    await outside.sign_in(bob, "bob")
    refused = await bob.get("/api/v1/users")
    assert refused.status_code == 403
    assert (await admin.put(f"/api/v1/users/{bob_id}/role", json={"role": "admin"})).json() == {"status": "ok"}
    assert (await bob.get("/api/v1/users")).status_code == 200
    assert (await suite.events(UserUpdated))[0].role == "admin"
    assert (await admin.put(f"/api/v1/users/{bob_id}/role", json={"role": "king"})).status_code == 400


async def test_last_admin_can_be_neither_deleted_nor_demoted(admin: httpx.AsyncClient, rows, outside) -> None:
    own_id = (await admin.get("/api/v1/auth/me")).json()["id"]
    assert (await admin.delete(f"/api/v1/users/{own_id}")).json()["detail"] == "Cannot delete your own account"
    demoted = await admin.put(f"/api/v1/users/{own_id}/role", json={"role": "user"})
    assert (demoted.status_code, demoted.json()["detail"]) == (400, "Cannot demote your own account")
    bob_id, bob = await outside.add_user(admin, "bob", role="admin"), outside.visitor()
    await outside.sign_in(bob, "bob")
    answers = await asyncio.gather(
        admin.put(f"/api/v1/users/{bob_id}/role", json={"role": "user"}),
        bob.put(f"/api/v1/users/{own_id}/role", json={"role": "user"}),
        bob.delete(f"/api/v1/users/{own_id}"),
    )
    assert await rows.fetchval("select count(*) from person where role = 'admin' and deleted_at is null") >= 1
    assert any(answer.is_success for answer in answers)
    assert {answer.status_code for answer in answers if not answer.is_success} <= {401, 403, 404, 409}


async def test_accounts_cannot_see_each_other(admin: httpx.AsyncClient, rows, outside) -> None:
    account_id, other = await outside.add_account(admin, "other")
    other_id = (await other.get("/api/v1/auth/me")).json()["id"]
    bob_id = await outside.add_user(admin, "bob")
    key_id, _ = await outside.add_key(admin)
    assert [user["username"] for user in (await other.get("/api/v1/users")).json()] == ["other-admin"]
    assert (await other.get("/v1/api-keys")).json() == {"keys": []}
    for method, path, body in (
        ("DELETE", f"/api/v1/users/{bob_id}", None),
        ("PUT", f"/api/v1/users/{bob_id}/role", {"role": "admin"}),
        ("POST", f"/api/v1/users/{bob_id}/reset-password", {"password": "something new"}),
        ("DELETE", f"/v1/api-keys/{key_id}", None),
        ("DELETE", f"/api/v1/api-keys/{key_id}", None),
    ):
        answer = await other.request(method, path, json=body)
        assert answer.status_code == 404, (method, path, answer.text)
    assert (await admin.delete(f"/api/v1/users/{other_id}")).status_code == 404
    for answer in (await other.get("/api/v1/accounts"), await other.delete(f"/api/v1/accounts/{account_id}")):
        assert answer.status_code == 403
    assert (
        await other.post(
            "/api/v1/accounts", json={"name": "x", "admin": {"username": "x", "password": outside.password}}
        )
    ).status_code == 403


async def test_deleting_an_account_ends_everything_in_it(admin: httpx.AsyncClient, outside, suite: Suite) -> None:
    account_id, other = await outside.add_account(admin, "other")
    _, key = await outside.add_key(other)
    assert (await outside.visitor(key).get("/api/v1/auth/me")).status_code == 200
    listed = (await admin.get("/api/v1/accounts")).json()
    assert (listed["total"], {"id", "name", "created_at"} <= set(listed["accounts"][1])) == (2, True)
    answer = await admin.delete(f"/api/v1/accounts/{account_id}")
    assert (answer.status_code, answer.json()) == (200, {"deleted": True, "id": account_id})
    assert (await other.get("/api/v1/auth/me")).status_code == 401
    assert (await outside.visitor(key).get("/api/v1/auth/me")).status_code == 401
    assert (await suite.events(AccountDeleted))[0].account_id == account_id
    assert (await admin.delete(f"/api/v1/accounts/{account_id}")).status_code == 404
    first = listed["accounts"][0]["id"]
    assert (await admin.delete(f"/api/v1/accounts/{first}")).status_code == 400


async def test_mass_assignment_is_refused(admin: httpx.AsyncClient, outside) -> None:
    body = {"username": "bob", "password": outside.password, "account_id": "acct_other", "id": "user_1"}
    assert (await admin.post("/api/v1/users", json=body)).status_code == 400


async def test_export_tells_every_account_and_user(admin: httpx.AsyncClient, outside, gateway, suite: Suite) -> None:  # type: ignore[no-untyped-def]
    await outside.add_user(admin, "bob")
    account_id, _ = await outside.add_account(admin, "gone")
    await admin.delete(f"/api/v1/accounts/{account_id}")
    pairing = Issuer("pairing", suite.installation.services["pairing"].private_key)
    told, after = [], ""
    while after is not None:
        headers = {HEADER.decode(): pairing.issue_own(audience="gateway")}
        page = (
            await outside.visitor(None, **headers).get("/internal/export", params={"after": after, "limit": 1})
        ).json()
        told += [item["type"] for item in page["items"]]
        after = page["next"]
    assert sorted(told) == [
        "account.created.v1", "account.deleted.v1", "user.created.v1", "user.created.v1", "user.deleted.v1",
    ]  # fmt: skip


async def test_fields_that_no_user_or_account_has_are_refused_by_name(admin: httpx.AsyncClient, outside) -> None:
    bob_id = await outside.add_user(admin, "bob")
    first = {"username": "first", "password": outside.password}
    for method, path, body in (
        ("POST", "/api/v1/auth/setup", first),
        ("POST", "/api/v1/auth/change-password", {"current_password": outside.password, "new_password": "new " * 3}),
        ("POST", "/api/v1/accounts", {"name": "other", "admin": first}),
        ("POST", "/api/v1/users", first),
        ("PATCH", f"/api/v1/users/{bob_id}", {"email": "bob@example.com"}),
        ("PUT", f"/api/v1/users/{bob_id}/role", {"role": "admin"}),
        ("POST", f"/api/v1/users/{bob_id}/reset-password", {"password": "something new"}),
    ):
        answer = await admin.request(method, path, json=body | {"emial": "x"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "validation_error"), path
        assert "emial" in answer.json()["detail"], path
