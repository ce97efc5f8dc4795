"""Channels: the web, counted from live sockets and what was said; others as they are configured."""

from runtime_door import ALICE, STRANGER, Door
from runtime_sockets import wire

from agent_runtime.channels.domain import type_of
from shoal.testing.suite import eventually

CONFIG = {
    "agents": {"defaults": {"model": "offline/rules", "max_tokens": 4096, "temperature": 0.7}},
    "providers": {},
    "channels": {"discord-main": {"enabled": True}, "telegram": {"enabled": False}},
    "gateway": {"api_port": 8080, "api_enabled": True},
}


def test_kind_of_a_channel_is_the_beginning_of_its_name() -> None:
    assert [type_of(name) for name in ("web", "discord-main", "Telegram")] == ["web", "discord", "telegram"]


async def test_web_is_connected_while_a_browser_is_there_in_any_replica(open_door) -> None:
    settings = {"AGENT_RUNTIME_SOCKET_BEAT": "100ms"}
    one, two = await open_door(**settings), await open_door(**settings)
    await one.meet("acct_1")
    (web,) = (await one.alice.get("/api/channels")).json()
    assert web == {
        "name": "web", "type": "web", "status": "disconnected", "message_count": 0, "enabled": True, "sockets": 0,
        "routes_to": web["routes_to"],
    }  # fmt: skip
    assert web["routes_to"]
    async with wire(one.service, ALICE) as watcher, wire(two.service, STRANGER):
        await watcher.subscribe("channels")
        assert (await watcher.hear("channel_status"))["status"] == "connected"
        async with wire(two.service, ALICE):
            frame = await watcher.hear("channel_status")
            assert (frame["name"], frame["type"], frame["sockets"]) == ("web", "channel_status", 2)
            (web,) = (await two.alice.get("/api/channels")).json()
            assert (web["status"], web["sockets"]) == ("connected", 2)
        assert (await watcher.hear("channel_status"))["sockets"] == 1

    async def nobody_is_there() -> bool:
        (web,) = (await two.alice.get("/api/channels")).json()
        return bool(web["status"] == "disconnected")

    await eventually(nobody_is_there)


async def test_messages_of_the_web_are_counted_and_told(door: Door) -> None:
    await door.meet("acct_1")
    key = (await door.alice.post("/api/sessions", json={})).json()["key"]
    async with wire(door.service, ALICE) as page:
        await page.subscribe("channels")
        await page.hear("channel_status")
        assert (await door.alice.post(f"/api/sessions/{key}/messages", json={"content": "Hello"})).status_code == 200
        frame = await page.hear("channel_status")
        assert frame["message_count"] == 2
        told_at = frame["last_activity"]
    (web,) = (await door.alice.get("/api/channels")).json()
    assert web["message_count"] == 2
    assert web["last_activity"] == told_at


async def test_configured_channels_without_an_adapter_say_so(door: Door) -> None:
    answer = await door.admin.put("/api/config", json=CONFIG)
    assert answer.status_code == 200, answer.text
    channels = (await door.alice.get("/api/channels")).json()
    assert [(channel["name"], channel["type"], channel["enabled"]) for channel in channels] == [
        ("web", "web", True), ("discord-main", "discord", True), ("telegram", "telegram", False),
    ]  # fmt: skip
    assert {channel["status"] for channel in channels} == {"disconnected"}
    assert "discord" in channels[1]["detail"]
    assert (await door.nobody.get("/api/channels")).status_code == 401
