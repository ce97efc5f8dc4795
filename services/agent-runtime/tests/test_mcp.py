"""Tools of MCP servers."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from runtime_door import Door, door_of
from runtime_talk import Talk

from shoal.installation import Installation
from shoal.testing.servers import TestDatabases
from shoal.testing.suite import eventually, free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVER = str(Path(__file__).with_name("mcp_server.py"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http_port() -> AsyncIterator[int]:
    """An MCP server over HTTP."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(sys.executable, SERVER, str(port), stderr=asyncio.subprocess.DEVNULL)

    async def answers() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    await eventually(answers, within_s=20)
    yield port
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mcp_door(databases: TestDatabases, installation: Installation, http_port: int) -> AsyncIterator[Door]:
    settings = {"SHOAL_OUTGOING_ALLOWED": f"127.0.0.1:{http_port}", "AGENT_RUNTIME_ALLOW_MCP_STDIO": "true"}
    async with door_of(databases, installation, settings) as door:
        yield door


async def test_tools_of_a_program_are_offered_and_called(mcp_door: Door) -> None:
    talk = await Talk.begin(mcp_door, tools={"*": "auto"})
    body = {"command": sys.executable, "args": [SERVER, "stdio"], "env": {"GREETING": "hello-CANARY"}}
    assert (await talk.client.put("/api/mcp-servers/local", json=body)).json() == {"success": True}

    tools = {tool["name"]: tool for tool in (await talk.client.get("/api/tools")).json()}

    assert tools["local__add"]["description"] == "Add two numbers."
    assert tools["local__add"]["policy"] == "ask"
    assert set(tools["local__add"]["schema"]["properties"]) == {"one", "other"}
    told = await talk.say('/tool local__add {"one": 2, "other": 3}\n/tool local__greeting\n/tool local__fail')
    add, greeting, fail = told["tool_calls"]
    assert (add["result"], greeting["result"], fail["is_error"]) == ("5", "hello-CANARY", True)
    (server,) = (await talk.client.get("/api/mcp-servers")).json()
    assert (server["status"], server["tool_count"], server["env_names"]) == ("connected", 3, ["GREETING"])
    assert "CANARY" not in str(server)
    stored = await mcp_door.sql("select secrets from mcp_server where account_id = $1", talk.account_id)
    assert b"CANARY" not in stored[0][0]


async def test_tools_of_an_http_server_wait_for_approval(mcp_door: Door, http_port: int) -> None:
    talk = await Talk.begin(mcp_door)
    body = {"url": f"http://127.0.0.1:{http_port}/mcp", "headers": {"Authorization": "Bearer x"}}
    assert (await talk.client.put("/api/mcp-servers/web", json=body)).status_code == 200
    run_id = await talk.run('/tool web__add {"one": 2, "other": 3}')
    run = await talk.until(run_id, "pending_approval", within_s=20)
    assert run["tool_calls"][0]["name"] == "web__add"
    await talk.client.post(f"/api/runs/{run_id}/approve")
    run = await talk.until(run_id, "completed")
    assert run["tool_calls"][0]["result"] == "5"
    assert (await talk.client.delete("/api/mcp-servers/web")).json() == {"success": True}
    assert "web__add" not in str((await talk.client.get("/api/tools")).json())


async def test_server_that_is_away_holds_nothing_up(mcp_door: Door, http_port: int) -> None:
    talk = await Talk.begin(mcp_door)
    body = {"command": "/bin/false"}
    assert (await talk.client.put("/api/mcp-servers/gone", json=body)).status_code == 200
    assert "offline/rules" in (await talk.say("Hello"))["content"]
    (server,) = (await talk.client.get("/api/mcp-servers")).json()
    assert server["status"] == "error"
    assert server["error"]


async def test_secrets_stay_with_the_program_or_the_address_that_they_were_stored_for(
    mcp_door: Door, http_port: int
) -> None:
    talk = await Talk.begin(mcp_door)
    at = f"http://127.0.0.1:{http_port}"
    program = {"command": "/bin/false", "args": ["a"], "enabled": False}

    async def kept(was: dict[str, Any], secret: dict[str, Any], now: dict[str, Any]) -> bool:
        for body in (was | secret, now):
            assert (await talk.client.put("/api/mcp-servers/x", json=body)).status_code == 200
        (row,) = await mcp_door.sql("select secrets from mcp_server where account_id = $1", talk.account_id)
        return row["secrets"] is not None

    env, headers = {"env": {"KEY": "secret"}}, {"headers": {"Authorization": "secret"}}
    assert await kept(program, env, program | {"enabled": True})
    assert not await kept(program, env, program | {"command": "/bin/true"})
    assert not await kept(program, env, program | {"args": ["b"]})
    assert not await kept(program, env, {"url": f"{at}/mcp"})
    assert await kept({"url": f"{at}/mcp"}, headers, {"url": f"{at}/mcp"})
    assert not await kept({"url": f"{at}/mcp"}, headers, {"url": f"{at}/other"})
    assert not await kept(program, env, program | {"env": {}})


async def test_servers_that_may_not_be_reached_or_are_none_are_refused(mcp_door: Door) -> None:
    talk = await Talk.begin(mcp_door)
    for body, status in (
        ({"url": "http://127.0.0.1:1/mcp"}, 400),
        ({"url": "http://169.254.169.254/"}, 400),
        ({}, 400),
        ({"url": "https://example.com", "command": "x"}, 400),
    ):
        answer = await talk.client.put("/api/mcp-servers/x", json=body)
        assert answer.status_code == status, answer.text
    assert (await talk.client.put("/api/mcp-servers/No_Name", json={"command": "x"})).status_code == 400
    assert (await talk.client.delete("/api/mcp-servers/none")).status_code == 404


@pytest.mark.parametrize(
    "name",
    ["Host", "content-length", "Transfer-Encoding", "Connection", "TE", "Proxy-Authorization", "Upgrade"],
)
async def test_headers_of_the_connection_are_nobodys_to_set(mcp_door: Door, http_port: int, name: str) -> None:
    talk = await Talk.begin(mcp_door)
    body = {"url": f"http://127.0.0.1:{http_port}/mcp", "headers": {"Authorization": "Bearer x", name: "1"}}
    answer = await talk.client.put("/api/mcp-servers/x", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "validation_error")
    assert [problem["field"] for problem in answer.json()["error"]["details"]] == [f"headers.{name}"]
    assert (await talk.client.get("/api/mcp-servers")).json() == []


async def test_headers_that_are_no_http_are_refused(mcp_door: Door, http_port: int) -> None:
    talk = await Talk.begin(mcp_door)
    body = {"url": f"http://127.0.0.1:{http_port}/mcp"}
    wrong = [("X Y", "1"), ("X:", "1"), ("", "1"), ("X", "a\r\nY: b"), ("X", "\x01"), ("X", "é"), ("X", " a")]
    for name, value in wrong:
        answer = await talk.client.put("/api/mcp-servers/x", json=body | {"headers": {name: value}})
        assert answer.status_code == 400, (name, value)
        assert answer.json()["error"]["details"], (name, value)
    plain = {"headers": {"X-Team": "a b", "X-Empty": ""}}
    assert (await talk.client.put("/api/mcp-servers/x", json=body | plain)).status_code == 200


async def test_programs_are_not_started_unless_allowed(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    answer = await talk.client.put("/api/mcp-servers/x", json={"command": "/bin/true"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "stdio_not_allowed")
