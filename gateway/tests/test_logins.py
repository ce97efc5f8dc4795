"""Signing in, staying signed in, signing out."""

import asyncio

import httpx

from gateway.cli import make_sign_in_link
from shoal.testing.suite import ServiceUnderTest, Suite, eventually
from shoal_events import AccountCreated, LoginEnded, UserCreated

Rows = "asyncpg.Connection[asyncpg.Record]"
HOLD = "update login_attempt set closed_until = now() + interval '1 minute' where closed_until is not null"
"""Keeps doors that were just closed closed, however long the next attempt takes."""


async def test_setup_makes_the_first_admin_and_signs_in(admin: httpx.AsyncClient, suite: Suite) -> None:
    me = await admin.get("/api/v1/auth/me")
    assert me.status_code == 200
    assert (me.json()["username"], me.json()["role"], me.json()["email"]) == ("admin", "admin", "admin@localhost")
    assert (await admin.get("/api/v1/auth/setup-required")).json() == {"setup_required": False}
    account = (await suite.events(AccountCreated))[0]
    user = (await suite.events(UserCreated))[0]
    assert account.account_id == user.account_id == me.json()["account"]["id"]


async def test_of_twenty_setups_at_once_exactly_one_makes_an_account(outside, rows: Rows) -> None:
    async def set_up(number: int) -> int:
        body = {"username": f"admin{number}", "password": outside.password}
        return (await outside.visitor().post("/api/v1/auth/setup", json=body)).status_code

    statuses = await asyncio.gather(*(set_up(number) for number in range(20)))
    assert sorted(statuses) == [201] + [409] * 19
    assert await rows.fetchval("select count(*) from account") == 1
    assert await rows.fetchval("select count(*) from person") == 1


async def test_session_cookie_is_out_of_reach_of_scripts(admin: httpx.AsyncClient, outside) -> None:
    answer = await outside.sign_in(outside.visitor(), "ADMIN")
    assert answer.status_code == 200
    assert set(answer.json()) == {"id", "username", "role"}
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("shoal_session=shoal_")
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert answer.headers["cache-control"] == "no-store"


async def test_secure_cookies_carry_the_host_prefix(suite: Suite, outside) -> None:
    gateway = await outside.another_gateway(suite, SHOAL_PUBLIC_URL="https://shoal.example")
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        answer = await client.post("/api/v1/auth/setup", json={"username": "admin", "password": outside.password})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-shoal_session=")
    assert "Secure" in cookie
    assert "Path=/" in cookie


async def test_unknown_name_and_wrong_password_are_told_the_same(admin: httpx.AsyncClient, outside) -> None:
    unknown = await outside.sign_in(outside.visitor(), "nobody")
    wrong = await outside.sign_in(outside.visitor(), "admin", "something else")
    assert unknown.status_code == wrong.status_code == 401
    assert unknown.json()["detail"] == wrong.json()["detail"] == "Invalid username or password"
    empty = await outside.visitor().post("/api/v1/auth/login", json={"username": "admin"})
    assert (empty.status_code, empty.json()["detail"]) == (400, "Username and password are required")


async def test_signing_out_ends_the_login_everywhere(admin: httpx.AsyncClient, outside, suite: Suite) -> None:
    secret = admin.cookies["shoal_session"]
    token = (await admin.post("/api/auth/token")).json()["token"]
    assert (await outside.visitor(secret).get("/api/v1/auth/me")).status_code == 200
    assert (await admin.post("/api/v1/auth/logout")).json() == {"status": "ok"}
    assert (await outside.visitor(secret).get("/api/v1/auth/me")).status_code == 401
    assert (await outside.visitor(token).get("/api/v1/auth/me")).status_code == 401
    assert "shoal_session" not in admin.cookies
    assert {event.reason for event in await suite.events(LoginEnded, count=2)} == {"signed_out"}


async def test_login_that_is_not_used_ends_and_says_so(suite: Suite, outside) -> None:
    gateway = await outside.another_gateway(suite, GATEWAY_SESSION_IDLE_TTL="1s")
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        await client.post("/api/v1/auth/setup", json={"username": "admin", "password": outside.password})
        assert (await client.get("/api/v1/auth/me")).status_code == 200

        async def is_over() -> bool:
            return (await client.get("/api/v1/auth/me")).status_code == 401

        await eventually(is_over)


async def test_use_lets_a_login_last_longer_but_not_for_ever(
    outside, admin: httpx.AsyncClient, suite: Suite, rows: Rows
) -> None:
    secret = admin.cookies["shoal_session"]
    left = "select extract(epoch from expires_at - now())::int from login"

    async def use() -> int:
        unaware = await outside.another_gateway(suite)
        assert (await outside.visitor(secret, at=unaware).get("/api/v1/auth/me")).status_code == 200
        return int(await rows.fetchval(left))

    stale = "update login set last_used_at = now() - interval '2 h', expires_at = now() + interval '1 min'"
    await rows.execute(stale)
    assert await use() > 2.9 * 3600
    await rows.execute(f"{stale}, ends_at = now() + interval '90 s'")
    assert 60 < await use() <= 90


async def test_changing_the_password_ends_other_logins_only(admin: httpx.AsyncClient, outside) -> None:
    other = outside.visitor()
    await outside.sign_in(other, "admin")
    wrong = {"current_password": "no", "new_password": "another password"}
    refused = await admin.post("/api/v1/auth/change-password", json=wrong)
    assert (refused.status_code, refused.json()["detail"]) == (401, "Current password is incorrect")
    body = {"current_password": outside.password, "new_password": "another password"}
    assert (await admin.post("/api/v1/auth/change-password", json=body)).json() == {"status": "ok"}
    assert (await admin.get("/api/v1/auth/me")).status_code == 200
    assert (await other.get("/api/v1/auth/me")).status_code == 401
    assert (await outside.sign_in(outside.visitor(), "admin")).status_code == 401
    assert (await outside.sign_in(outside.visitor(), "admin", "another password")).status_code == 200


async def test_changing_the_password_needs_a_session(admin: httpx.AsyncClient, outside) -> None:
    _, key = await outside.add_key(admin)
    body = {"current_password": outside.password, "new_password": "another password"}
    refused = await outside.visitor(key).post("/api/v1/auth/change-password", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "session_required")


async def test_short_and_huge_passwords_are_refused(admin: httpx.AsyncClient) -> None:
    for password in ("short", "x" * 1025, "é" * 600):
        answer = await admin.post("/api/v1/users", json={"username": "bob", "password": password})
        assert answer.status_code == 400, password[:10]
        assert answer.json()["error"]["details"]


async def test_resetting_a_password_signs_the_user_out(admin: httpx.AsyncClient, outside) -> None:
    bob_id, bob = await outside.add_user(admin, "bob"), outside.visitor()
    await outside.sign_in(bob, "bob")
    answer = await admin.post(f"/api/v1/users/{bob_id}/reset-password", json={"password": "brand new one"})
    assert answer.json() == {"status": "ok"}
    assert (await bob.get("/api/v1/auth/me")).status_code == 401
    assert (await outside.sign_in(bob, "bob", "brand new one")).status_code == 200
    assert (await bob.post(f"/api/v1/users/{bob_id}/reset-password", json={"password": "x" * 9})).status_code == 403


async def test_link_signs_in_once(admin: httpx.AsyncClient, outside, gateway: ServiceUnderTest, suite: Suite) -> None:
    url = suite.environment()["GATEWAY_DATABASE_URL"]
    link = await make_sign_in_link(url, public_url=gateway.url, username="admin")
    browser = outside.visitor()
    answers = await asyncio.gather(*(outside.visitor().get(link) for _ in range(5)), browser.get(link))
    assert sorted(answer.status_code for answer in answers) == [303, 400, 400, 400, 400, 400]
    followed = next(answer for answer in answers if answer.status_code == 303)
    assert followed.headers["location"] == "/"
    assert followed.headers["referrer-policy"] == "no-referrer"
    secret = followed.cookies["shoal_session"]
    assert (await outside.visitor(secret).get("/api/v1/auth/me")).json()["username"] == "admin"


async def test_looking_at_a_link_by_head_leaves_it_unspent(
    admin: httpx.AsyncClient, outside, gateway: ServiceUnderTest, suite: Suite
) -> None:
    url = suite.environment()["GATEWAY_DATABASE_URL"]
    link = await make_sign_in_link(url, public_url=gateway.url, username="admin")
    for _ in range(2):
        looked = await outside.visitor().head(link)
        assert (looked.status_code, looked.content, "set-cookie" in looked.headers) == (204, b"", False)
    assert (await outside.visitor().get(link)).status_code == 303
    assert (await outside.visitor().head(link)).status_code == 204


async def test_spent_link_is_a_page_for_browsers_and_json_for_programs(outside) -> None:
    spent, browser = "/api/v1/auth/link/spent", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    page = await outside.visitor().get(spent, headers={"accept": browser})
    assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (400, "text/html")
    assert "shoal user link admin" in page.text
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for accept in ("*/*", "application/json", "application/json, text/html;q=0.9"):
        answer = await outside.visitor().get(spent, headers={"accept": accept})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_link")
        assert "shoal user link" in answer.json()["detail"]


async def test_logins_are_listed_and_ended_one_by_one(admin: httpx.AsyncClient, outside) -> None:
    other = outside.visitor()
    await outside.sign_in(other, "admin")
    listed = (await admin.get("/api/v1/auth/logins")).json()
    assert [login["is_current"] for login in listed] == [False, True]
    assert (await admin.delete(f"/api/v1/auth/logins/{listed[0]['id']}")).json()["ended"] is True
    assert (await other.get("/api/v1/auth/me")).status_code == 401
    assert (await admin.delete(f"/api/v1/auth/logins/{listed[0]['id']}")).status_code == 404


async def test_guessing_closes_the_account_to_strangers_but_not_to_its_user(suite: Suite, outside, rows: Rows) -> None:
    gateway = await outside.another_gateway(suite, GATEWAY_TRUSTED_PROXIES="127.0.0.0/8")

    async def attempt(password: str, source: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=gateway.url, headers={"x-forwarded-for": source}, trust_env=False) as one:
            return await outside.sign_in(one, "admin", password)

    async def guess(*numbers: int) -> list[httpx.Response]:
        return await asyncio.gather(*(attempt("guess", f"203.0.113.{number}") for number in numbers))

    async with httpx.AsyncClient(
        base_url=gateway.url, headers={"x-forwarded-for": "198.51.100.1"}, trust_env=False
    ) as one:
        await one.post("/api/v1/auth/setup", json={"username": "admin", "password": outside.password})
    assert [answer.status_code for answer in await guess(*range(5))] == [401] * 5
    await rows.execute("update login_attempt set failures = 15 where key = 'user admin'")  # closes for half a minute
    guesses = await guess(*range(5, 12))
    assert sorted(answer.status_code for answer in guesses) == [401, *[429] * 6]
    refused = next(answer for answer in guesses if answer.status_code == 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert refused.json()["error"]["code"] == "too_many_attempts"
    assert (await attempt(outside.password, "203.0.113.99")).status_code == 429
    assert (await attempt(outside.password, "198.51.100.1")).status_code == 200


async def test_guessing_closes_the_address_for_longer_each_time(admin: httpx.AsyncClient, outside, rows: Rows) -> None:
    await outside.add_user(admin, "new")
    for number in range(20):
        assert (await outside.sign_in(outside.visitor(), f"name{number}", "guess")).status_code == 401
    assert (await outside.sign_in(outside.visitor(), "name20", "guess")).status_code == 401
    closed = "select extract(epoch from closed_until - tried_at)::int from login_attempt where key like 'from %'"
    assert await rows.fetchval(closed) == 1
    await rows.execute(HOLD)
    assert (await outside.sign_in(outside.visitor(), "new")).status_code == 429
    known = await asyncio.gather(*(outside.sign_in(outside.visitor(), "admin") for _ in range(8)))
    assert [answer.status_code for answer in known] == [200] * 8
    for waits_s in (2, 4, 8):
        await rows.execute("update login_attempt set closed_until = now() where key like 'from %'")
        assert (await outside.sign_in(outside.visitor(), "another", "guess")).status_code in {401, 429}
        assert await rows.fetchval(closed) == waits_s
    await rows.execute("update login_attempt set closed_until = now()")
    assert (await outside.sign_in(outside.visitor(), "new")).status_code == 200


async def test_guessing_a_user_from_an_address_of_the_user_closes_a_door_too(
    admin: httpx.AsyncClient, outside, rows: Rows
) -> None:
    for _ in range(21):
        assert (await outside.sign_in(outside.visitor(), "admin", "guess")).status_code == 401
    await rows.execute(HOLD)
    assert (await outside.sign_in(outside.visitor(), "admin")).status_code == 429


async def test_token_needs_a_session_or_an_older_token(admin: httpx.AsyncClient, outside) -> None:
    assert (await outside.visitor().post("/api/auth/token")).status_code == 401
    _, key = await outside.add_key(admin)
    assert (await outside.visitor(key).post("/api/auth/token")).status_code == 403
    answer = await admin.post("/api/auth/token", headers={"content-type": "application/json"})
    token = answer.json()["token"]
    assert token.startswith("clawft_")
    assert "samesite=strict" in answer.headers["set-cookie"].lower()
    verified = await outside.visitor(token).get("/api/auth/verify")
    assert (verified.status_code, verified.json()["valid"]) == (200, True)
    assert (await outside.visitor(token).post("/api/auth/token")).status_code == 200
    assert (await outside.visitor("clawft_unknown").get("/api/auth/verify")).status_code == 401


async def test_token_is_good_for_the_web_chat_alone(admin: httpx.AsyncClient, outside) -> None:
    token = (await admin.post("/api/auth/token")).json()["token"]
    chat = outside.visitor(token)
    for path in ("/api/agents", "/api/auth/verify", "/api/health"):
        assert (await chat.get(path)).status_code == 200, path
    for path in (
        "/api/v1/auth/me", "/api/v1/auth/logins", "/api/v1/users", "/api/v1/accounts", "/api/v1/api-keys",
        "/v1/api-keys", "/pairing", "/v1/agents", "/telemetry/overview", "/api/v1/instances", "/api/v1/settings",
        "/health",
    ):  # fmt: skip
        refused = await chat.get(path)
        assert refused.status_code == 403, path
        assert refused.json()["error"]["code"].lower() == "token_out_of_scope", path
    for path in ("/api/v1/auth/logout", "/api/v1/auth/change-password", "/api/v1/api-keys", "/pairing/init"):
        assert (await chat.post(path)).status_code == 403, path


async def test_token_cookie_is_not_read_elsewhere(admin: httpx.AsyncClient, outside) -> None:
    token = (await admin.post("/api/auth/token")).json()["token"]
    chat = outside.visitor()
    chat.cookies.set("shoal_token", token)
    assert (await chat.get("/api/agents")).status_code == 200
    assert (await chat.get("/api/v1/auth/me")).status_code == 401
    assert (await chat.get("/api/v1/users")).status_code == 401
    assert (await chat.get("/health")).status_code == 200


async def test_signing_out_ends_the_tokens_that_the_session_opened(admin: httpx.AsyncClient, outside) -> None:
    elsewhere = outside.visitor()
    await outside.sign_in(elsewhere, "admin")
    first = (await elsewhere.post("/api/auth/token")).json()["token"]
    second = (await outside.visitor(first).post("/api/auth/token")).json()["token"]
    other = (await admin.post("/api/auth/token")).json()["token"]
    elsewhere.cookies.delete("shoal_token")
    assert (await elsewhere.post("/api/v1/auth/logout")).status_code == 200

    for ended in (first, second):
        assert (await outside.visitor(ended).get("/api/auth/verify")).status_code == 401
    assert (await outside.visitor(other).get("/api/auth/verify")).status_code == 200


async def test_token_revokes_itself_and_leaves_the_session(admin: httpx.AsyncClient, outside) -> None:
    token = (await admin.post("/api/auth/token")).json()["token"]
    chat = outside.visitor(token)
    answer = await chat.post("/api/auth/revoke")
    assert (answer.status_code, answer.json()["ended"]) == (200, True)
    assert "shoal_token=" in answer.headers["set-cookie"]
    assert (await outside.visitor(token).get("/api/auth/verify")).status_code == 401
    assert (await admin.get("/api/v1/auth/me")).status_code == 200
    _, key = await outside.add_key(admin)
    assert (await outside.visitor(key).post("/api/auth/revoke")).status_code == 404


async def test_token_survives_a_restart_and_gets_its_cookie_back(
    admin: httpx.AsyncClient, outside, gateway: ServiceUnderTest, suite: Suite
) -> None:
    token = (await admin.post("/api/auth/token")).json()["token"]
    await suite.stop(gateway)
    again = await suite.start("gateway")
    client = outside.visitor(token, at=again)
    answer = await client.get("/api/agents")
    assert answer.status_code == 200
    assert answer.headers["set-cookie"].startswith("shoal_token=clawft_")
    assert "set-cookie" not in (await client.get("/api/agents")).headers


async def test_page_with_an_ended_token_works_again_after_signing_in(admin: httpx.AsyncClient) -> None:
    stale = {"authorization": "Bearer clawft_ended", "sec-fetch-site": "same-origin"}
    assert (await admin.get("/api/agents", headers=stale)).status_code == 200
    assert (await admin.get("/api/auth/verify", headers=stale)).status_code == 401
    admin.cookies.clear()
    assert (await admin.get("/api/agents", headers=stale)).status_code == 401
