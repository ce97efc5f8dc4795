"""Who comes in by the door of a service, over a real socket."""

import json

import pytest
import websockets
from structlog.testing import capture_logs

from shoal.identity import Issuer, Principal, Role, Via
from shoal.installation import Installation

from .things import USER, error_of
from .toy import Door

pytestmark = pytest.mark.asyncio(loop_scope="module")


def routes() -> list[tuple[str, str]]:
    paths = ["/pairing/things", "/v1/things", "/who", "/internal/export", "/internal/openapi.json", "/nowhere", "/"]
    paths += ["/metrics/", "/healthz/x", "//readyz"]
    return [(method, path) for path in paths for method in ("GET", "POST", "DELETE", "OPTIONS", "HEAD")]


@pytest.mark.parametrize(("method", "path"), routes())
async def test_nobody_gets_past_the_door_without_an_identity(door: Door, method: str, path: str) -> None:
    answer = await door.anonymous.request(method, path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_every_route_of_the_application_is_behind_the_door(door: Door) -> None:
    for route in door.running._built.described.routes:
        if route.path not in {"/healthz", "/readyz", "/metrics"}:
            assert (await door.anonymous.get(route.path)).status_code == 401, route.path


async def test_forged_identity_is_refused_and_the_reason_goes_to_the_log_only(
    door: Door, credentials: Installation
) -> None:
    pairing = Issuer("pairing", credentials.services["pairing"].private_key)
    forged = [
        "rubbish",
        pairing.issue(USER, audience="toy"),
        door.gateway.issue(USER, audience="pairing"),
        door.gateway.issue(USER, audience="toy")[:-4] + "AAAA",
    ]
    for token in forged:
        with capture_logs() as lines:
            answer = await door.anonymous.get("/who", headers={"x-shoal-identity": token})
        assert error_of(answer)["code"] == "unauthorized"
        assert [line["event"] for line in lines] == ["identity_refused"]
        assert lines[0]["reason"]
        assert lines[0]["reason"] not in answer.text


@pytest.mark.parametrize("header", ["authorization", "x-shoal-user", "x_shoal_identity", "cookie"])
async def test_other_headers_identify_nobody(door: Door, header: str) -> None:
    token = door.headers()["x-shoal-identity"]
    assert (await door.anonymous.get("/who", headers={header: f"Bearer {token}"})).status_code == 401


@pytest.mark.parametrize("path", ["/socket", "/nowhere"])
async def test_socket_without_an_identity_is_refused_at_the_handshake(door: Door, path: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(f"ws{door.url[4:]}{path}", proxy=None)
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body or b"")["error"]["code"] == "unauthorized"


async def test_socket_with_an_identity_is_let_in(door: Door) -> None:
    async with websockets.connect(f"ws{door.url[4:]}/socket", additional_headers=door.headers(), proxy=None) as socket:
        await socket.send("hello")
        assert await socket.recv() == "hello"
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 4403


async def test_principal_reaches_the_handler(door: Door) -> None:
    assert (await door.client.get("/who")).json() == {"who": "user:user_1"}
    assert (await door.client.get("/who", headers=door.headers(Principal()))).json() == {"who": "anonymous"}


@pytest.mark.parametrize(
    ("principal", "path", "status"),
    [
        (Principal(), "/user", 401),
        (Principal(via=Via.AGENT_KEY, agent_id="agent_1"), "/user", 401),
        (USER, "/user", 200),
        (USER, "/admin", 403),
        (Principal(via=Via.API_KEY, user_id="user_1", role=Role.ADMIN), "/admin", 200),
        (Principal(via=Via.API_KEY, user_id="user_1", role=Role.ADMIN), "/session", 403),
        (USER, "/session", 200),
        (USER, "/internal/export", 401),
        (USER, "/internal/openapi.json", 401),
    ],
)
async def test_guards(door: Door, principal: Principal, path: str, status: int) -> None:
    assert (await door.anonymous.get(path, headers=door.headers(principal))).status_code == status


async def test_services_may_make_the_calls_of_the_table_only(door: Door, credentials: Installation) -> None:
    async def status(caller: str, path: str) -> int:
        token = Issuer(caller, credentials.services[caller].private_key).issue_own(audience="toy")
        return (await door.anonymous.get(path, headers={"x-shoal-identity": token})).status_code

    assert await status("gateway", "/internal/openapi.json") == 200
    assert await status("pairing", "/internal/openapi.json") == 403
    assert await status("gateway", "/internal/export") == 403
