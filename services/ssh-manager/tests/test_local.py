"""Instances of this machine, made by instance-orchestrator: from their creation to the last trace."""

import contextlib
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from ssh_door import ADMIN, INSTANCES

from shoal.testing.suite import ServiceUnderTest, Suite, eventually
from shoal_events import InstanceSshKeyApplied


class Installation:
    """Both services, as an admin meets them through the gateway."""

    def __init__(self, suite: Suite, orchestrator: ServiceUnderTest, manager: ServiceUnderTest, state: Path) -> None:
        self.suite = suite
        self.orchestrator = orchestrator.client(ADMIN)
        self.manager = manager.client(ADMIN)
        self.state = state

    async def post(self, path: str) -> dict[str, Any]:
        answer = await self.manager.post(f"{INSTANCES}/1/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def until_state(self, state: str, *, within_s: float = 20) -> dict[str, Any]:
        seen: dict[str, Any] = {}

        async def holds() -> bool:
            answer = await self.manager.get(f"{INSTANCES}/1/ssh-status")
            seen.update(answer.json())
            return answer.status_code == httpx.codes.OK and seen["connection_state"] == state

        await eventually(holds, lambda: seen, within_s=within_s)
        return seen

    def authorized(self) -> str:
        return (self.state / "instances/1-bot-alpha/home/.ssh/authorized_keys").read_text()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """The installation's folder; whatever still runs there at the end is ended."""
    yield tmp_path
    for file in tmp_path.glob("instances/*/lock"):
        with contextlib.suppress(OSError, ValueError):
            os.killpg(int(file.read_text()), signal.SIGKILL)


@pytest_asyncio.fixture
async def installation_at_work(suite: Suite, state: Path) -> Installation:
    """Both services at work on the same folder."""
    settings = {
        "SHOAL_STATE": str(state),
        "SHOAL_NODE_ADDRESS": f"127.{random.randint(2, 250)}.{random.randint(0, 250)}.{random.randint(1, 250)}",
        "INSTANCE_ORCHESTRATOR_ALONE_GRACE": "15s",
        "INSTANCE_ORCHESTRATOR_RESYNC": "5s",
    }
    orchestrator = await suite.start("instance-orchestrator", **settings)
    manager = await suite.start("ssh-manager", **settings)
    return Installation(suite, orchestrator, manager, state)


async def test_an_instance_from_its_creation_to_its_last_trace(installation_at_work: Installation) -> None:
    at = installation_at_work
    made = await at.orchestrator.post(INSTANCES, json={"display_name": "Bot Alpha"})
    assert made.status_code == 201, made.text
    status = await at.until_state("connected")
    assert [one["service"] for one in status["tunnels"]] == ["vnc", "gateway"]

    async def is_led_through() -> bool:
        tested = await at.post("ssh-test")
        assert (tested["success"], tested["command_test"]) == (True, True), tested
        return [one["healthy"] for one in tested["tunnel_status"]] == [True, True]

    await eventually(is_led_through)
    before = at.authorized()
    rotated = await at.post("rotate-ssh-key")
    assert (rotated["success"], rotated["message"]) == (True, "SSH key rotation completed successfully"), rotated
    applied = (await at.suite.events(InstanceSshKeyApplied, count=2))[-1]
    assert (applied.fingerprint, applied.key_version) == (rotated["fingerprint"], 2)
    assert at.authorized().count("ssh-ed25519") == 1
    assert at.authorized() != before
    assert (await at.orchestrator.post(f"{INSTANCES}/1/restart")).status_code == 200
    await at.until_state("disconnected")
    await at.until_state("connected")  # with the new key, which a restart keeps
    assert (await at.orchestrator.post(f"{INSTANCES}/1/stop")).status_code == 200
    await at.until_state("disconnected")
    overview = (await at.manager.get("/api/v1/ssh-status")).json()
    assert (overview["instances"][0]["instance_status"], overview["disconnected"]) == ("stopped", 1)
    assert (await at.orchestrator.delete(f"{INSTANCES}/1")).status_code == 204

    async def is_gone() -> bool:
        return (await at.manager.get(f"{INSTANCES}/1/ssh-status")).status_code == httpx.codes.NOT_FOUND

    await eventually(is_gone)
    audit = (await at.manager.get("/api/v1/ssh-audit-logs", params={"instance_name": "bot-alpha"})).json()
    told = {entry["event_type"] for entry in audit["entries"]}
    assert {"connection", "disconnection", "key_rotation", "tunnel_status"} <= told
