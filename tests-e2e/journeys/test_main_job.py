"""From an empty installation to a paired agent whose metrics are on the screen, and away again."""

from datetime import UTC, datetime, timedelta

import httpx
from stack import PairedAgent, Stack
from stack.sockets import metrics_frame, stamp

from shoal.testing.suite import eventually

SKILL = {"image-generation": {"calls_1h": 45, "revenue_1h": "0.90", "avg_latency_ms": 2100}}
TOLD = {
    "messages_1h": 142, "messages_24h": 2847, "active_sessions": 3, "avg_response_ms": 850,
    "memory_mb": 256, "cpu_percent": 12, "uptime_s": 86400,
}  # fmt: skip


async def test_pairing_streaming_watching_and_asking_do_what_the_contract_says(stack: Stack) -> None:
    opened = await stack.admin.open_pairing("Production Server")
    assert opened["token"].startswith("clawdnet_pair_")
    assert opened["qr_code"].startswith("data:image/png;base64,")
    agent = await confirm(stack, opened["token"])
    async with stack.admin.watch() as viewer, agent.connect() as socket:
        assert agent.agent_id in viewer.auth["agents"]
        assert socket.auth["agents"] == [agent.agent_id]
        await eventually(lambda: is_status(stack, agent, "connected"))
        await socket.send(metrics_frame(agent.agent_id, **TOLD))
        await socket.send({"type": "skills", "agent_id": agent.agent_id, "timestamp": stamp(), "data": SKILL})
        await socket.barrier()
        seen = await viewer.until_heard("metrics", agent_id=agent.agent_id)
        assert seen["data"].items() >= TOLD.items()
        await eventually(lambda: has_messages(stack, agent, 142))
        await check_figures(stack, agent)
        assert (await stack.admin.client.delete(f"/pairing/{agent.pairing_id}")).json()["deleted"] is True
        assert await socket.until_closed(within_s=5) == 4409
    assert await stack.admin.status_of(agent) == "gone"


async def test_figures_stay_for_an_agent_that_is_paired_again(stack: Stack) -> None:
    agent = await stack.admin.pair()
    async with agent.connect() as socket:
        await socket.send(metrics_frame(agent.agent_id, messages_1h=7))
        await socket.barrier()
    await eventually(lambda: has_messages(stack, agent, 7))
    await stack.admin.unpair(agent)
    await eventually(lambda: is_unknown(stack, agent))
    again = await stack.admin.pair(agent.agent_id)
    await eventually(lambda: has_messages(stack, again, 7))


async def test_status_turns_to_disconnected_within_five_seconds_of_a_clean_end(stack: Stack) -> None:
    agent = await stack.admin.pair()
    async with agent.connect():
        await eventually(lambda: is_status(stack, agent, "connected"))
    await eventually(lambda: is_status(stack, agent, "disconnected"))


async def test_frames_of_yesterday_are_counted_in_their_own_hours(stack: Stack) -> None:
    agent = await stack.admin.pair()
    then = datetime.now(UTC) - timedelta(hours=5)
    async with agent.connect(epoch="yesterday") as socket:
        await socket.send(metrics_frame(agent.agent_id, at=then, seq=1, response_ms=[100, 200], messages_total=2))
        await socket.until_acked(1)

    async def is_in_its_hour() -> bool:
        said = await stack.admin.client.get(f"/telemetry/metrics/{agent.agent_id}?metrics=latency")
        return said.is_success and [p["timestamp"] for p in said.json()["data"]["latency"]] == [
            then.strftime("%Y-%m-%dT%H:00:00Z")
        ]

    await eventually(is_in_its_hour)


async def confirm(stack: Stack, token: str) -> PairedAgent:
    """Redeem a pairing token with the contract's own example."""
    info = {"version": "1.2.3", "os": "linux", "hostname": "prod-server-1", "node_version": "20.10.0"}
    body = {"token": token, "agent_id": "agent_abc123", "instance_info": info}
    answer = await stack.client().post("/pairing/confirm", json=body)
    assert answer.status_code == httpx.codes.OK, answer.text
    said = answer.json()
    assert (said["status"], said["agent"]["id"]) == ("active", "agent_abc123")
    assert said["websocket_url"] == stack.websocket_url
    assert said["telemetry_token"].startswith("telem_")
    return PairedAgent(said["pairing_id"], said["agent"]["id"], said["telemetry_token"], said["websocket_url"])


async def check_figures(stack: Stack, agent: PairedAgent) -> None:
    """Ask every question that there is about one agent's first frames."""
    day = await stack.admin.get(f"/telemetry/metrics/{agent.agent_id}")
    assert (day["agent_id"], day["period"], day["resolution"]) == (agent.agent_id, "24h", "1h")
    assert day["data"]["memory"][-1]["value"] == 256
    assert day["summary"]["avg_latency_ms"] == 850
    only = await stack.admin.get(f"/telemetry/metrics/{agent.agent_id}", period="1h", metrics="messages,latency")
    assert only["data"].keys() == {"messages", "latency"}
    assert only["resolution"] == "1m"
    overview = await stack.admin.get("/telemetry/overview")
    assert agent.agent_id in str(overview)
    skills = await stack.admin.get(f"/telemetry/skills/{agent.agent_id}")
    assert "image-generation" in str(skills)
    exposition = await stack.admin.client.get("/telemetry/prometheus")
    assert f'agent_id="{agent.agent_id}"' in exposition.text


async def is_status(stack: Stack, agent: PairedAgent, status: str) -> bool:
    return await stack.admin.status_of(agent) == status


async def has_messages(stack: Stack, agent: PairedAgent, count: int) -> bool:
    said = await stack.admin.client.get(f"/telemetry/metrics/{agent.agent_id}?metrics=messages")
    return said.is_success and sum(point["value"] for point in said.json()["data"]["messages"]) == count


async def is_unknown(stack: Stack, agent: PairedAgent) -> bool:
    return (await stack.admin.client.get(f"/telemetry/metrics/{agent.agent_id}")).status_code == 404
