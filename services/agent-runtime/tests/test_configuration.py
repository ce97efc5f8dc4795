"""Configuration, through the door."""

import base64
import copy
import os
from pathlib import Path
from typing import Any

import pytest
from runtime_door import Door

from agent_runtime.factory import Factory
from agent_runtime.tools.usecases.servers import Directory
from shoal.testing.suite import eventually

KEY = "sk-ant-a-key-that-nobody-may-see"
CONFIG: dict[str, Any] = {
    "agents": {"defaults": {"model": "anthropic/claude-sonnet-4", "max_tokens": 2048, "temperature": 0.2}},
    "providers": {
        "anthropic": {"api_key_set": False, "api_base": "https://1.1.1.1", "enabled": True},
        "local": {"api_base": "http://127.0.0.1:11434/v1/", "enabled": False},
    },
    "channels": {"discord": {"enabled": True}, "web": {"enabled": False}},
    "gateway": {"api_port": 1, "api_enabled": False},
}
ALLOWED = {"SHOAL_OUTGOING_ALLOWED": "127.0.0.1:11434", "SHOAL_PUBLIC_URL": "https://shoal.example"}


def config(**provider: Any) -> dict[str, Any]:
    """Write a configuration whose first provider differs."""
    made = copy.deepcopy(CONFIG)
    made["providers"]["anthropic"].update(provider)
    return made


async def put(door: Door, body: Any) -> None:
    answer = await door.admin.put("/api/config", json=body)
    assert (answer.status_code, answer.json()) == (200, {"success": True}), answer.text


async def shown(door: Door) -> dict[str, Any]:
    answer = await door.admin.get("/api/config")
    assert answer.status_code == 200
    assert KEY not in answer.text
    return dict(answer.json())


@pytest.fixture
async def door(open_door: Any) -> Door:
    return await open_door(**ALLOWED)


async def opened_key(door: Door, name: str = "anthropic") -> str | None:
    """Open a provider's key as a turn does."""
    factory = Factory(door.service.running.resources)
    provider = await factory.configuration().provider("acct_1", name)
    return provider.api_key.reveal() if provider and provider.api_key else None


async def test_a_new_account_is_shown_what_holds(door: Door) -> None:
    told = await shown(door)
    assert told["agents"] == {"defaults": {"model": "offline/rules", "max_tokens": 4096, "temperature": 0.7}}
    assert told["providers"]["anthropic"] == {
        "api_key_set": False,
        "api_base": "https://api.anthropic.com",
        "enabled": True,
    }
    assert told["channels"] == {"web": {"enabled": True}}
    assert told["gateway"] == {"api_port": 443, "api_enabled": True}


async def test_a_replacement_is_whole_and_what_is_read_can_be_sent_back(door: Door) -> None:
    await put(door, CONFIG)
    told = await shown(door)
    assert told["agents"] == CONFIG["agents"]
    assert told["channels"] == CONFIG["channels"]
    assert told["providers"]["local"] == {
        "api_key_set": False,
        "api_base": "http://127.0.0.1:11434/v1",
        "enabled": False,
    }
    assert told["gateway"] == {"api_port": 443, "api_enabled": True}, "what is, whatever was sent"
    await put(door, told)
    assert await shown(door) == told
    less = copy.deepcopy(told)
    del less["providers"]["local"]
    await put(door, less)
    assert (await shown(door))["providers"].keys() == {"anthropic"}


async def test_a_key_is_written_and_never_read(door: Door) -> None:
    await put(door, config(api_key=KEY))
    assert (await shown(door))["providers"]["anthropic"]["api_key_set"] is True
    rows = await door.sql("select sealed from provider where sealed is not null")
    assert len(rows) == 1
    assert KEY.encode() not in rows[0]["sealed"]
    assert await opened_key(door) == KEY
    for unchanged in ({}, {"api_key": None}, {"api_key": "****-see"}, {"api_key_set": False}):
        await put(door, config(**unchanged))
        assert await opened_key(door) == KEY, unchanged
    await put(door, config(api_key="another"))
    assert await opened_key(door) == "another"
    await put(door, config(api_key=""))
    assert (await shown(door))["providers"]["anthropic"]["api_key_set"] is False
    assert await opened_key(door) is None


async def test_a_key_does_not_follow_its_provider_to_another_address(door: Door) -> None:
    await put(door, config(api_key=KEY))
    await put(door, config(api_base="https://8.8.8.8"))
    assert (await shown(door))["providers"]["anthropic"]["api_key_set"] is False
    await put(door, config(api_base="https://1.1.1.1"))
    assert (await shown(door))["providers"]["anthropic"]["api_key_set"] is False
    await put(door, config(api_key=KEY, api_base="https://8.8.8.8"))
    assert await opened_key(door) == KEY
    gone = config()
    del gone["providers"]["anthropic"]
    await put(door, gone)
    await put(door, config(api_base="https://8.8.8.8"))
    assert await opened_key(door) is None


async def test_a_sealed_key_that_was_moved_does_not_open(door: Door) -> None:
    await put(door, config(api_key=KEY))
    await door.sql("update provider set api_base = 'https://8.8.8.8' where name = 'anthropic'")
    with pytest.raises(Exception, match="does not open"):
        await opened_key(door)


async def test_an_address_that_leads_inwards_is_refused(door: Door) -> None:
    addresses = [
        "http://127.0.0.1:1/v1",
        "http://[::1]/",
        "http://169.254.169.254",
        "http://10.0.0.1",
        "http://localhost",
    ]
    for api_base in (*addresses, "https://key@1.1.1.1", "file:///etc/passwd", "not an address", ""):
        refused = await door.admin.put("/api/config", json=config(api_base=api_base))
        assert refused.status_code == 400, api_base
    assert (await shown(door))["providers"]["anthropic"]["api_base"] == "https://api.anthropic.com"


async def test_what_cannot_be_configured_is_refused_whole(door: Door) -> None:
    def changed(path: str, value: Any) -> dict[str, Any]:
        made = copy.deepcopy(CONFIG)
        *parents, last = path.split(".")
        place = made
        for part in parents:
            place = place[part]
        place[last] = value
        return made

    refused = [
        {},
        {"agents": CONFIG["agents"]},
        changed("agents.defaults.model", ""),
        changed("agents.defaults.model", "a b"),
        changed("agents.defaults.model", "anthropic/"),
        changed("agents.defaults.model", "Anthropic/claude-sonnet-4"),
        changed("agents.defaults.max_tokens", 0),
        changed("agents.defaults.max_tokens", 10**30),
        changed("agents.defaults.temperature", -0.1),
        changed("agents.defaults.temperature", "hot"),
        changed("providers.Ünï", {"api_base": "https://1.1.1.1"}),
        changed("providers.a", {"enabled": True}),
        changed("providers.a", {"api_base": "https://1.1.1.1", "owner": "me"}),
        changed("providers", {f"p{n}": {"api_base": "https://1.1.1.1"} for n in range(33)}),
        changed("providers.anthropic.api_key", "with a space"),
        changed("providers.anthropic.api_key", "line\nbreak"),
        changed("channels.web", True),
        changed("surprise", 1),
        [],
    ]
    for body in refused:
        answer = await door.admin.put("/api/config", json=body)
        assert answer.status_code == 400, body
        assert "with a space" not in answer.text
    assert (await shown(door))["agents"]["defaults"]["model"] == "offline/rules"


async def test_only_admins_configure_and_accounts_are_apart(door: Door) -> None:
    assert (await door.alice.put("/api/config", json=CONFIG)).status_code == 403
    assert (await door.nobody.put("/api/config", json=CONFIG)).status_code == 401
    assert (await door.nobody.get("/api/config")).status_code == 401
    assert (await door.alice.get("/api/config")).status_code == 200
    await put(door, config(api_key=KEY))
    assert (await door.stranger.get("/api/config")).json()["providers"]["anthropic"]["api_key_set"] is False


async def test_the_wrong_encryption_key_keeps_the_service_from_being_ready(open_door: Any, tmp_path: Path) -> None:
    door = await open_door()
    await door.suite.stop(door.service)
    (tmp_path / "agent-runtime.key").unlink()
    again = await door.suite.start("agent-runtime", until_ready=False, SHOAL_STATE=str(tmp_path))
    checks = again.running.resources.health.readiness
    await eventually(lambda: "is not the key" in checks().checks["encryption key"], checks)


async def test_the_encryption_key_can_be_replaced(open_door: Any, tmp_path: Path) -> None:
    old, new = (f"{name}:{base64.b64encode(os.urandom(32)).decode()}" for name in ("k1", "k2"))
    door = await open_door(**ALLOWED, AGENT_RUNTIME_ENCRYPTION_KEY=old)
    await put(door, config(api_key=KEY))
    server = {"url": "http://127.0.0.1:11434/mcp", "headers": {"authorization": KEY}}
    assert (await door.admin.put("/api/mcp-servers/tools", json=server)).is_success
    await door.suite.stop(door.service)
    settings = ALLOWED | {"SHOAL_STATE": str(tmp_path)}
    both = await door.suite.start("agent-runtime", **settings, AGENT_RUNTIME_ENCRYPTION_KEY=f"{new},{old}")

    async def is_sealed_anew() -> bool:
        rows = await door.sql(
            """
            select sealed from provider where sealed is not null
             union all select secrets from mcp_server
             union all select sealed from key_check
            """
        )
        return [bytes(row["sealed"])[2:4] for row in rows] == [b"k2"] * 3

    await eventually(is_sealed_anew)
    await door.suite.stop(both)
    alone = await door.suite.start("agent-runtime", **settings, AGENT_RUNTIME_ENCRYPTION_KEY=new)
    assert await opened_key(Door(door.suite, alone, tmp_path)) == KEY
    directory = Directory(database=alone.running.resources.database, envelope=Factory(alone.running.resources).envelope)
    (opened,) = await directory.enabled("acct_1")
    assert opened.secrets == {"authorization": KEY}
