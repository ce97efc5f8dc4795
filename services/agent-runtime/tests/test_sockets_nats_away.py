"""While NATS is away, a process still shows its own browsers what happens in it; afterwards all is as before."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from runtime_door import ALICE, Door
from runtime_sockets import wire

from shoal.service import installed
from shoal.testing.suite import Suite, eventually, free_port
from shoal_embedded.nats import EmbeddedNats
from shoal_events import LoginEnded


@pytest_asyncio.fixture
async def shaky(databases: Any, installation: Any, tmp_path: Path) -> AsyncIterator[tuple[EmbeddedNats, Door, Door]]:
    """Two replicas in front of a NATS that may be stopped."""
    url = await databases.make([installed()["agent-runtime"]])
    nats = EmbeddedNats(tmp_path / "nats")
    await nats.start()
    suite = Suite(databases=databases, database_url=url, nats_url=nats.url, installation=installation)
    doors = [
        Door(
            suite,
            await suite.start("agent-runtime", SHOAL_STATE=str(tmp_path), AGENT_RUNTIME_PORT=str(free_port())),
            tmp_path,
        )
        for _ in range(2)
    ]
    yield nats, doors[0], doors[1]
    await suite.close()
    await nats.stop()
    await databases.drop(url)


@pytest.mark.fault
async def test_browsers_of_a_process_hear_it_without_nats_and_all_hear_all_afterwards(shaky: Any) -> None:
    nats, one, two = shaky
    async with wire(one.service, ALICE) as here, wire(two.service, ALICE) as there:
        for page in (here, there):
            await page.hear("connected")
            await page.subscribe("canvas:update")
        await nats.stop()
        assert (await one.alice.post("/api/canvas/s1/commands", json={"command": "reset"})).status_code == 200
        assert (await here.hear("canvas:update"))["version"] == 1
        await here.heard_until_pong()
        await nats.start()
        heard: list[Any] = []

        async def is_heard_over_there() -> bool:
            await one.alice.post("/api/canvas/s1/commands", json={"command": "reset"})
            heard.extend(frame["version"] for frame in await there.heard_until_pong())
            return bool(heard)

        await eventually(is_heard_over_there, within_s=12)
        ended = LoginEnded(login_id="login_1", account_id="acct_1", user_id="user_alice", reason="logout")
        await one.suite.publish(ended, event_id="0b8f8f4e-5a39-4d5c-9d9c-8b6a9c1f0002")
        assert await here.closed() == 4401
        assert await there.closed() == 4401
