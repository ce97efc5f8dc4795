"""Accounts do not see each other; pages of other sites may do nothing."""

import httpx
import pytest
from stack import Stack, telemetry_socket
from stack.sockets import metrics_frame
from websockets.exceptions import InvalidStatus


async def test_an_account_sees_nothing_of_another(stack: Stack) -> None:
    agent = await stack.admin.pair()
    other = await stack.open_account("stranger")
    assert (await other.get("/pairing"))["total"] == 0
    for method, path in (
        ("GET", f"/pairing/{agent.pairing_id}"),
        ("PATCH", f"/pairing/{agent.pairing_id}"),
        ("DELETE", f"/pairing/{agent.pairing_id}"),
        ("GET", f"/pairing/{agent.pairing_id}/history"),
        ("POST", f"/pairing/{agent.pairing_id}/telemetry-token"),
        ("GET", f"/telemetry/metrics/{agent.agent_id}"),
        ("GET", f"/telemetry/skills/{agent.agent_id}"),
    ):
        body = {"name": "mine now"} if method == "PATCH" else None
        answer = await other.client.request(method, path, json=body)
        assert answer.status_code == httpx.codes.NOT_FOUND, f"{method} {path}: {answer.text}"
    assert agent.agent_id not in str(await other.get("/telemetry/overview"))
    assert agent.agent_id not in (await other.client.get("/telemetry/prometheus")).text


async def test_live_frames_reach_their_own_account_only(stack: Stack) -> None:
    agent = await stack.admin.pair()
    other = await stack.open_account("eavesdropper")
    same_name = await other.pair(agent.agent_id)
    async with stack.admin.watch() as mine, other.watch() as theirs, agent.connect() as socket:
        await theirs.send({"type": "subscribe", "agent_id": agent.agent_id})
        await socket.send(metrics_frame(agent.agent_id, messages_1h=1))
        await mine.until_heard("metrics", agent_id=agent.agent_id)
        async with same_name.connect() as their_socket:
            await their_socket.send(metrics_frame(agent.agent_id, messages_1h=2))
            heard = await theirs.until_heard("metrics", agent_id=agent.agent_id)
    assert heard["data"]["messages_1h"] == 2
    assert {f["data"]["messages_1h"] for f in mine.heard if f["type"] == "metrics"} == {1}


async def test_an_agent_may_not_speak_for_another(stack: Stack) -> None:
    agent, other = await stack.admin.pair(), await stack.admin.pair()
    async with agent.connect() as socket:
        await socket.send(metrics_frame(other.agent_id, messages_1h=1))
        refused = await socket.until_heard("protocol_error")
        assert refused["code"] == "agent_not_yours"
        assert await socket.until_closed() == 4403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
    ids=str,
)
async def test_a_page_of_another_site_cannot_act_with_a_users_cookies(stack: Stack, headers: dict[str, str]) -> None:
    before = (await stack.admin.get("/pairing"))["total"]
    sent = {"Content-Type": "application/json"} | headers
    answer = await stack.admin.client.post("/pairing/init", content=b'{"name": "evil"}', headers=sent)
    assert answer.status_code == httpx.codes.FORBIDDEN, answer.text
    answer = await stack.admin.client.post("/api/v1/users", content=b"{}", headers=sent)
    assert answer.status_code == httpx.codes.FORBIDDEN, answer.text
    assert (await stack.admin.get("/pairing"))["total"] == before


async def test_our_own_page_can_act(stack: Stack) -> None:
    for headers in ({"Origin": stack.url}, {"Sec-Fetch-Site": "same-origin", "Origin": stack.url}):
        answer = await stack.admin.client.post("/pairing/init", json={"name": "ours"}, headers=headers)
        assert answer.status_code == httpx.codes.OK, answer.text


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None])
async def test_a_page_of_another_site_cannot_open_a_users_socket(stack: Stack, origin: str | None) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with telemetry_socket(stack.websocket_url, headers={"Cookie": stack.admin.cookie}, origin=origin):
            pass
    assert refused.value.response.status_code == httpx.codes.FORBIDDEN
