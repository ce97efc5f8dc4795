"""The reference agent as a program of its own: pairs, streams, survives a gateway that goes away."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from stack import Stack

from shoal.testing.suite import eventually

ENVIRONMENT = {"PATH": os.defpath}


async def test_shoal_agent_pairs_streams_and_survives_a_restart_of_the_gateway(stack: Stack, tmp_path: Path) -> None:
    token = (await stack.admin.open_pairing("This machine"))["token"]
    state = tmp_path / "agent"
    await agent_command("pair", "--gateway", stack.url, "--token", token, "--state", str(state))
    pairing = (await stack.admin.get("/pairing"))["pairings"][-1]
    agent_id = pairing["agent"]["id"]

    async def readings() -> int:
        said = await stack.admin.client.get(f"/telemetry/metrics/{agent_id}?period=1h&metrics=memory")
        return len(said.json()["data"]["memory"]) if said.is_success else 0

    async def status() -> str:
        answer = await stack.admin.client.get(f"/pairing/{pairing['id']}")
        return str(answer.json()["status"]) if answer.is_success else answer.text

    async def is_connected() -> bool:
        return await status() == "connected"

    async with running_agent(state) as agent:
        await eventually(is_connected)
        await eventually(readings)
        await stack.kill("gateway")
        await stack.start("gateway")
        async with stack.admin.watch() as viewer:
            live = await viewer.until_heard("metrics", agent_id=agent_id)
            assert live["data"]["memory_mb"] > 0
        await eventually(is_connected)
        (await stack.admin.client.delete(f"/pairing/{pairing['id']}")).raise_for_status()
        await eventually(lambda: says_unpaired(state))
        assert agent.returncode is None, "the agent keeps running"


async def says_unpaired(state: Path) -> bool:
    return "unpaired" in await agent_command("status", "--json", "--state", str(state))


async def agent_command(*arguments: str) -> str:
    """Run a command of shoal-agent to its end; returns what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shoal_agent", *arguments,
        env=ENVIRONMENT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    return output


@contextlib.asynccontextmanager
async def running_agent(state: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the agent while the block runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shoal_agent", "run", "--interval", "200ms", "--state", str(state),
        env=ENVIRONMENT, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()
