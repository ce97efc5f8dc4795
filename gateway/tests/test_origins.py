"""What a hostile page may not do with the cookies of whoever is looking at it."""

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

JSON = "application/json"
OURS = "http://127.0.0.1:8080"
HOSTILE = "https://evil.example"

MATRIX = [
    # Sec-Fetch-Site, Origin, Content-Type, let in
    ("same-origin", OURS, JSON, True),
    ("same-origin", None, JSON, True),
    ("same-origin", HOSTILE, JSON, True),  # a browser's word; it sets both, so the two never disagree
    (None, OURS, JSON, True),
    (None, "http://localhost:8080", JSON, True),
    (None, None, JSON, True),
    (None, None, None, True),
    ("cross-site", HOSTILE, JSON, False),
    ("cross-site", None, JSON, False),
    ("same-site", "http://other.127.0.0.1:8080", JSON, False),
    ("none", None, JSON, False),
    (None, HOSTILE, JSON, False),
    (None, "null", JSON, False),
    (None, "http://127.0.0.1:8081", JSON, False),
    (None, "https://127.0.0.1:8080", JSON, False),
    (None, "http://127.0.0.1:8080.evil.example", JSON, False),
    (None, None, "text/plain", False),
    (None, None, "application/x-www-form-urlencoded", False),
    (None, None, "multipart/form-data; boundary=x", False),
]


async def test_unsafe_requests_with_a_cookie_need_our_own_page(outside, admin: httpx.AsyncClient) -> None:
    for site, origin, content_type, is_let_in in MATRIX:
        headers = {"sec-fetch-site": site, "origin": origin, "content-type": content_type}
        given = {name: value for name, value in headers.items() if value is not None}
        content = None if content_type is None else b"{}"
        for path in ("/api/agents", "/api/auth/token"):
            answer = await admin.post(path, content=content, headers=given)
            assert (answer.status_code != 403) is is_let_in, (path, given, answer.text)
            if not is_let_in:
                assert answer.json()["error"]["code"] == "cross_site"


async def test_refusal_says_what_would_have_been_let_in(outside, admin: httpx.AsyncClient) -> None:
    async def told(**headers: str) -> str:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await admin.post("/api/agents", content=b"{}", headers=given)
        return str(answer.json()["detail"])

    assert "Content-Type: application/json" in await told()
    assert "Content-Type: application/json" in await told(content_type="application/x-www-form-urlencoded")
    assert "GATEWAY_ALLOWED_ORIGINS" in await told(content_type=JSON, origin=HOSTILE)
    assert "sandbox" in await told(content_type=JSON, origin="null")
    signing_in = await outside.visitor().post("/api/v1/auth/login", data={"username": "admin"})
    assert "Content-Type: application/json" in signing_in.json()["detail"]


async def test_hostile_page_can_neither_make_users_nor_sign_anybody_in(outside, admin: httpx.AsyncClient) -> None:
    user = {"username": "mallory", "password": outside.password, "role": "admin"}
    page = {"origin": HOSTILE, "sec-fetch-site": "cross-site"}
    assert (await admin.post("/api/v1/users", json=user, headers=page)).status_code == 403
    for path in ("/api/v1/auth/login", "/api/v1/auth/setup"):
        answer = await outside.visitor().post(path, json=user, headers=page)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
    assert [one["username"] for one in (await admin.get("/api/v1/users")).json()] == ["admin"]


async def test_credential_sent_on_purpose_needs_no_origin(outside, admin: httpx.AsyncClient) -> None:
    _, key = await outside.add_key(admin)
    answer = await outside.visitor(key).post(
        "/api/agents", content=b"x", headers={"origin": HOSTILE, "sec-fetch-site": "cross-site"}
    )
    assert answer.status_code == 200
    wrong = await admin.post("/api/v1/users", json={}, headers={"authorization": "Bearer agd_live_wrong"})
    assert wrong.status_code == 401  # a bad credential is not mended by a cookie


async def test_no_page_elsewhere_may_read_answers(outside, admin: httpx.AsyncClient) -> None:
    preflight = {"origin": HOSTILE, "access-control-request-method": "POST"}
    for answer in (
        await admin.get("/api/v1/auth/me", headers={"origin": HOSTILE}),
        await admin.options("/api/v1/auth/login", headers=preflight),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_sockets_with_a_cookie_need_an_exact_origin(outside, admin: httpx.AsyncClient) -> None:
    url = outside.gateway.url.replace("http", "ws") + "/ws"
    cookie = f"shoal_session={admin.cookies['shoal_session']}"
    for origin in (HOSTILE, "null", "http://127.0.0.1:8081", None):
        headers = {"cookie": cookie} | ({} if origin is None else {"origin": origin})
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, additional_headers=headers, proxy=None)
        assert refused.value.response.status_code == 403
    assert b"Authorization: Bearer" in refused.value.response.body  # what no browser speaks for may say who it is
    async with connect(url, additional_headers={"cookie": cookie, "origin": OURS}, proxy=None) as socket:
        assert "cookie" not in await socket.recv()
        await socket.send("hello")
        assert await socket.recv() == "hello"


async def test_socket_takes_its_token_from_the_subprotocol(outside, admin: httpx.AsyncClient) -> None:
    url = outside.gateway.url.replace("http", "ws") + "/ws"
    token = (await admin.post("/api/auth/token")).json()["token"]
    async with connect(url, subprotocols=["bearer", token], proxy=None) as socket:  # type: ignore[list-item]
        assert socket.subprotocol == "bearer"
        assert token not in await socket.recv()
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, subprotocols=["bearer", "clawft_wrong"], proxy=None)  # type: ignore[list-item]
    assert refused.value.response.status_code == 401
    async with connect(url, proxy=None) as socket:  # its first frame may still say who it is
        assert "x-shoal-identity" in await socket.recv()


async def test_socket_where_there_is_none_is_refused(outside, admin: httpx.AsyncClient) -> None:
    for path, status in (("/api/agents", 404), ("/nothing", 404)):
        with pytest.raises(InvalidStatus) as refused:
            await connect(outside.gateway.url.replace("http", "ws") + path, proxy=None)
        assert refused.value.response.status_code == status
