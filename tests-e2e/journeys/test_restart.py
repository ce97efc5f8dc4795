"""What was there before the suite was stopped is there when it is started again."""

from pathlib import Path

from stack import PairedAgent, running
from stack.sockets import metrics_frame

from shoal.testing.suite import eventually


async def test_a_second_start_finds_the_data_of_the_first(tmp_path: Path) -> None:
    async with running(tmp_path / "suite") as before:
        agent = await before.admin.pair("agent_kept")
        key = await before.admin.create_key("kept")
        session = dict(before.admin.client.cookies)
        async with agent.connect() as socket:
            await socket.send(metrics_frame(agent.agent_id, messages_1h=142))
            await socket.barrier()
    async with running(tmp_path / "suite") as after:
        assert [item["id"] for item in (await after.admin.get("/pairing"))["pairings"]] == [agent.pairing_id]
        with_key = await after.client(Authorization=f"Bearer {key}").get("/api/v1/auth/me")
        assert with_key.json()["username"] == "admin"
        browser = after.client()
        browser.cookies.update(session)
        assert (await browser.get("/api/v1/auth/me")).is_success, "a session survives"

        async def has_figures() -> bool:
            said = await after.admin.client.get(f"/telemetry/metrics/{agent.agent_id}?metrics=messages")
            return said.is_success and sum(p["value"] for p in said.json()["data"]["messages"]) == 142

        await eventually(has_figures)
        moved = PairedAgent(agent.pairing_id, agent.agent_id, agent.token, after.websocket_url)
        async with moved.connect() as socket:
            assert socket.auth["agents"] == [agent.agent_id]
