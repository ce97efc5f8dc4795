"""What instances serve is shown under our address, and gets nothing of ours."""

import asyncio

import httpx
import msgspec
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from shoal.identity import HEADER, Verifier, Via
from shoal.testing.suite import ServiceUnderTest, Suite

PAGE = "/api/v1/instances/7/control/~ticket-1/index.html"
SOCKET = "/api/v1/instances/7/desktop/~ticket-1/websockify"
OWN_POLICY = "default-src 'self'"


@pytest_asyncio.fixture
async def gateway(suite: Suite, hostile: None) -> ServiceUnderTest:
    return await suite.start("gateway")


def names(answer: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.json()}


async def test_a_page_is_shown_in_a_sandbox_and_sets_nothing(outside, admin: httpx.AsyncClient) -> None:
    answer = await outside.visitor().get(PAGE)
    assert answer.status_code == 200
    sandbox, own = sorted(answer.headers.get_list("content-security-policy"), reverse=True)
    assert sandbox.startswith("sandbox ")
    assert "allow-scripts" in sandbox
    assert not {"allow-same-origin", "allow-top-navigation", "allow-popups-to-escape-sandbox"} & set(sandbox.split())
    assert own == OWN_POLICY
    assert answer.headers.get_list("referrer-policy") == ["no-referrer"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not {"set-cookie", "clear-site-data", "service-worker-allowed"} & set(answer.headers)


async def test_a_page_is_told_of_no_credential_and_nobody_is_recognised_by_one(
    outside, admin: httpx.AsyncClient, suite: Suite
) -> None:
    _, key = await outside.add_key(admin)
    keys = {name: made.public_key for name, made in suite.installation.services.items()}
    for client in (admin, outside.visitor(key), outside.visitor("shoal_unknown")):
        seen = names(await client.get(PAGE))
        assert not {"cookie", "authorization"} & set(seen)
        assert Verifier("ssh-manager", keys).verify(seen[HEADER.decode()]).via is Via.NONE


async def test_a_page_may_send_forms_though_it_has_no_origin(outside, admin: httpx.AsyncClient) -> None:
    headers = {"origin": "null", "sec-fetch-site": "cross-site", "content-type": "text/plain"}
    assert (await admin.post(PAGE, content=b"x", headers=headers)).status_code == 200


async def test_a_pages_socket_needs_no_origin_and_carries_no_cookie(
    outside, gateway: ServiceUnderTest, admin: httpx.AsyncClient
) -> None:
    url = gateway.url.replace("http", "ws") + SOCKET
    cookie = {"cookie": f"shoal_session={admin.cookies['shoal_session']}"}
    async with connect(url, origin="null", additional_headers=cookie, proxy=None) as socket:  # type: ignore[arg-type]
        seen = dict(msgspec.json.decode(await asyncio.wait_for(socket.recv(), 5)))
    assert "cookie" not in seen


async def test_without_a_ticket_pages_and_sockets_need_a_user(
    outside, gateway: ServiceUnderTest, admin: httpx.AsyncClient
) -> None:
    for path in ("/api/v1/instances/7/control/", "/api/v1/instances/7/desktop/x/~ticket-1/"):
        assert (await outside.visitor().get(path)).status_code == 401
        assert (await admin.get(path)).status_code == 200
    url = gateway.url.replace("http", "ws")
    for path in ("/api/v1/instances/7/desktop/websockify", "/api/v1/instances/7/terminal"):
        cookie = {"cookie": f"shoal_session={admin.cookies['shoal_session']}"}
        for origin in ("null", "https://evil.example", None):
            with pytest.raises(InvalidStatus) as refused:
                await connect(url + path, origin=origin, additional_headers=cookie, proxy=None)  # type: ignore[arg-type]
            assert refused.value.response.status_code == 403


async def test_a_hostile_page_cannot_use_the_api_even_if_its_browser_sent_cookies(
    outside, admin: httpx.AsyncClient
) -> None:
    page = {"origin": "null", "sec-fetch-site": "cross-site"}
    assert (await outside.visitor().get("/api/v1/users", headers=page)).status_code == 401
    for method in ("GET", "POST", "DELETE"):
        answer = await admin.request(method, "/api/v1/users", headers=page)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "cross_site")
        assert "access-control-allow-origin" not in answer.headers
    assert (await admin.get("/api/v1/users")).status_code == 200
