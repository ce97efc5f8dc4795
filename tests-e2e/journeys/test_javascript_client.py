"""The contract's own example client, word for word but for its address and key, under node."""

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from stack import Stack
from stack.sockets import metrics_frame, stamp

CLIENT = Path(__file__).parent / "example_client.js"
AROUND = """
const say = (...words) => console.log(JSON.stringify(words));
const updateDashboard = (id, data) => say('dashboard', id, data);
const updateStatus = (id, status) => say('status', id, status);
const showAlert = (id, data) => say('alert', id, data);
"""
NODE_20 = 20
NODE_22 = 22


async def test_the_contracts_example_client_shows_metrics_status_and_errors(stack: Stack, tmp_path: Path) -> None:
    agent = await stack.admin.pair()
    program = AROUND + CLIENT.read_text()
    program = program.replace("wss://api.clawdnet.xyz/telemetry", stack.websocket_url)
    program = program.replace("your-api-key", await stack.admin.create_key("example client"))
    script = tmp_path / "client.js"
    script.write_text(program)
    async with running_script(script) as output, agent.connect() as socket:
        await until_said(output, "Connected, agents:", agent.agent_id)
        await socket.send(metrics_frame(agent.agent_id, messages_1h=142))
        await until_said(output, '"dashboard"', '"messages_1h":142')
        about = {"agent_id": agent.agent_id, "timestamp": stamp()}
        await socket.send({"type": "status", "status": "busy", **about})
        await until_said(output, '"status"', '"busy"')
        failure = {"error_type": "skill_failure", "skill": "image-generation", "message": "Model timeout"}
        await socket.send({"type": "error", "data": failure, **about})
        await until_said(output, '"alert"', "Model timeout")


def test_the_example_client_is_the_contracts() -> None:
    assert "new WebSocket('wss://api.clawdnet.xyz/telemetry')" in CLIENT.read_text()
    assert "setInterval" in CLIENT.read_text()


@contextlib.asynccontextmanager
async def running_script(script: Path) -> AsyncIterator[asyncio.StreamReader]:
    """Run a script under node; yields what it prints."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("NOT TESTED: there is no node here to run the contract's example client")
    version = int(re.match(r"v(\d+)", await _output(node, "--version"))[1])  # type: ignore[index]
    if version < NODE_20:
        pytest.skip(f"NOT TESTED: node {version} has no WebSocket; the contract's example client wants 20 or later")
    options = ["--experimental-websocket"] if version < NODE_22 else []
    process = await asyncio.create_subprocess_exec(
        node, *options, str(script), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.kill()
        await process.wait()


async def until_said(output: asyncio.StreamReader, *parts: str) -> str:
    """Read lines until they hold all of these parts."""
    said = ""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(10):
            while line := await output.readline():
                said += line.decode()
                if all(part in said for part in parts):
                    return said
    pytest.fail(f"the client did not say {parts}; it said {said}")


async def _output(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0].decode()
