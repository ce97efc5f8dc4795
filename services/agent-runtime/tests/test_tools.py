"""Tools: what they are told to be, what they do, and who may let them."""

import asyncio
import json

import pytest
from runtime_door import Door
from runtime_processes import group, is_alive
from runtime_talk import Talk

from shoal.testing.suite import eventually
from shoal_events import RunApprovalRequested

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL_AUTO = {"*": "auto"}


async def test_tools_are_listed_with_their_schemas(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    tools = {tool["name"]: tool for tool in (await talk.client.get("/api/tools")).json()}
    assert tools.keys() >= {
        "read_file", "write_file", "edit_file", "list_directory", "exec_shell", "web_fetch", "memory_read",
        "memory_write", "delegate_task", "render_ui",
    }  # fmt: skip
    assert all(tool["description"] and tool["schema"]["type"] == "object" for tool in tools.values())
    schema = (await talk.client.get("/api/tools/write_file/schema")).json()
    assert schema == tools["write_file"]["schema"]
    assert schema["required"] == ["path", "content"]
    assert "$ref" not in json.dumps(schema)
    assert (await talk.client.get("/api/tools/none/schema")).status_code == 404


async def test_tool_is_called_and_its_result_told(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door, tools=ALL_AUTO)
    told = await talk.say('/tool write_file {"path": "notes/a.txt", "content": "first"}\n/tool list_directory {}')
    assert next((call["name"], call["result"][:5]) for call in told["tool_calls"]) == ("write_file", "Wrote")
    assert json.loads(told["tool_calls"][0]["arguments"]) == {"path": "notes/a.txt", "content": "first"}
    told = await talk.say('/tool edit_file {"path": "notes/a.txt", "old_text": "first", "new_text": "second"}')
    told = await talk.say('/tool read_file {"path": "notes/a.txt"}')
    assert told["tool_calls"][0]["result"] == "second"
    assert "second" in told["content"]
    workspace = shared_door.state / "workspaces" / talk.account_id / talk.agent_id
    assert (workspace / "notes/a.txt").read_text() == "second"


async def test_wrong_calls_are_told_to_the_model_and_end_nothing(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door, tools=ALL_AUTO)
    for message in (
        '/tool read_file {"path": "../../x"}',
        '/tool read_file {"path": 1}',
        "/tool read_file {not json",
        '/tool none {"a": 1}',
        '/tool web_fetch {"url": "http://127.0.0.1:1/"}',
        '/tool web_fetch {"url": "file:///etc/passwd"}',
        '/tool web_fetch {"url": "http://a..b/"}',
        '/tool web_fetch {"url": "http://xn--a/"}',
    ):
        (call,) = (await talk.say(message))["tool_calls"]
        assert call["is_error"] is True, message
        assert "broke" not in call["result"], message
    assert len(await talk.messages()) == 16


async def test_edit_that_would_make_a_file_too_large_changes_nothing(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door, tools=ALL_AUTO)
    await talk.say(f'/tool write_file {{"path": "a.txt", "content": "{"a" * 30_000}"}}')
    edit = {"path": "a.txt", "old_text": "a", "new_text": "b" * 30_000, "replace_all": True}
    (call,) = (await talk.say(f"/tool edit_file {json.dumps(edit)}"))["tool_calls"]
    assert call["is_error"] is True
    assert "may hold" in call["result"]
    (call,) = (await talk.say('/tool read_file {"path": "a.txt"}'))["tool_calls"]
    assert call["result"] == "a" * 30_000


async def test_denied_tool_is_neither_offered_nor_called(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door, tools={"write_file": "deny"})
    (call,) = (await talk.say('/tool write_file {"path": "a", "content": "x"}'))["tool_calls"]
    assert "may not be used" in call["result"]
    assert not (shared_door.state / "workspaces" / talk.account_id / talk.agent_id / "a").exists()


async def test_call_waits_for_approval_and_goes_on_after_it(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    answer = await talk.post('/tool write_file {"path": "a", "content": "x"}')
    waiting = answer.json()
    assert (answer.status_code, waiting["status"], waiting["content"]) == (202, "pending_approval", "")
    assert waiting["tool_calls"][0]["status"] == "pending_approval"
    (approval,) = (await talk.client.get("/api/approvals")).json()
    assert (approval["run_id"], approval["name"]) == (waiting["run_id"], "write_file")
    workspace = shared_door.state / "workspaces" / talk.account_id / talk.agent_id
    assert not (workspace / "a").exists()
    asked = [fact for fact in await shared_door.suite.events(RunApprovalRequested) if fact.run_id == waiting["run_id"]]
    assert asked[0].tools == ("write_file",)

    approved = await talk.client.post(f"/api/runs/{waiting['run_id']}/approve")

    assert approved.status_code == 200, approved.text
    await talk.until(waiting["run_id"], "completed")
    assert (workspace / "a").read_text() == "x"
    messages = await talk.messages()
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert "Wrote 1 bytes" in messages[1]["content"]
    again = await talk.client.post(f"/api/runs/{waiting['run_id']}/approve")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "nothing_to_decide")
    kinds = [event["event"] async for event in talk.events(waiting["run_id"]) if "id" in event]
    assert kinds == [
        "queued", "started", "tool_call", "approval_requested", "approval_decided", "resumed", "tool_result", "text",
        "usage", "completed",
    ]  # fmt: skip


async def test_denied_call_does_nothing_and_the_model_is_told(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    run_id = await talk.run('/tool write_file {"path": "a", "content": "x"}')
    await talk.until(run_id, "pending_approval")
    assert (await talk.client.post(f"/api/runs/{run_id}/deny", json={})).status_code == 200
    run = await talk.until(run_id, "completed")
    assert [call["status"] for call in run["tool_calls"]] == ["denied"]
    assert not (shared_door.state / "workspaces" / talk.account_id / talk.agent_id / "a").exists()


async def test_calls_can_be_decided_one_by_one(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    run_id = await talk.run(
        '/tool write_file {"path": "a", "content": "x"}\n/tool write_file {"path": "b", "content": "x"}'
    )
    first, _second = (await talk.until(run_id, "pending_approval"))["tool_calls"]
    body = {"tool_call_ids": [first["id"]]}
    assert (await talk.client.post(f"/api/runs/{run_id}/approve", json=body)).json()["status"] == "pending_approval"
    assert (await talk.client.post(f"/api/runs/{run_id}/deny")).status_code == 200
    run = await talk.until(run_id, "completed")
    assert [call["status"] for call in run["tool_calls"]] == ["completed", "denied"]


async def test_call_that_is_named_twice_is_decided_once_and_the_other_still_waits(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    run_id = await talk.run(
        '/tool write_file {"path": "a", "content": "x"}\n/tool write_file {"path": "b", "content": "x"}'
    )
    first, second = (await talk.until(run_id, "pending_approval"))["tool_calls"]
    twice = {"tool_call_ids": [first["id"], first["id"]]}
    decided = (await talk.client.post(f"/api/runs/{run_id}/approve", json=twice)).json()
    assert decided["status"] == "pending_approval"
    assert [call["id"] for call in (await talk.client.get("/api/approvals")).json()] == [second["id"]]
    await talk.client.post(f"/api/runs/{run_id}/cancel")


async def test_tool_that_says_nothing_is_not_taken_for_one_that_did_not_end(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door, tools=ALL_AUTO)
    told = await talk.say('/tool exec_shell {"command": "true"}')
    assert told["tool_calls"][0]["result"] == ""
    assert "said nothing" in told["content"]


async def test_messages_wait_behind_one_that_waits_for_approval(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    first = await talk.run('/tool write_file {"path": "a", "content": "x"}')
    await talk.until(first, "pending_approval")
    second = await talk.run("Hello")
    assert (await talk.show(second))["status"] == "queued"
    assert (await talk.client.post(f"/api/runs/{first}/cancel")).json()["status"] == "cancelled"
    await talk.until(second, "completed")
    assert [message["role"] for message in await talk.messages()] == ["user", "assistant", "user", "assistant"]


async def test_strangers_decide_nothing(shared_door: Door) -> None:
    talk, other = await Talk.begin(shared_door), await Talk.begin(shared_door)
    run_id = await talk.run('/tool write_file {"path": "a", "content": "x"}')
    await talk.until(run_id, "pending_approval")
    assert (await other.client.post(f"/api/runs/{run_id}/approve")).status_code == 404
    assert (await other.client.get("/api/approvals")).json() == []


async def test_shell_has_limits_and_ends_with_its_call(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door, tools=ALL_AUTO)
    (call,) = (await talk.say('/tool exec_shell {"command": "echo out; echo err >&2; pwd"}'))["tool_calls"]
    assert call["result"].split("\n")[:2] == ["out", "err"]
    assert call["result"].strip().endswith(talk.agent_id)
    (call,) = (await talk.say('/tool exec_shell {"command": "sleep 30 & echo $!; exit 3"}'))["tool_calls"]
    assert call["is_error"]
    assert call["result"].startswith("Exit status 3.")
    pid = int(call["result"].split()[3])
    await eventually(lambda: not is_alive(pid))
    (call,) = (await talk.say('/tool exec_shell {"command": "echo $$; sleep 30", "timeout_s": 0.3}'))["tool_calls"]
    assert "Stopped after 0.3 s" in call["result"]
    (call,) = (await talk.say('/tool exec_shell {"command": "yes | head -c 1000000"}'))["tool_calls"]
    assert len(call["result"]) < 70_000
    (call,) = (await talk.say('/tool exec_shell {"command": "sleep 0.1 & wait; echo ok", "timeout_s": 5}'))[
        "tool_calls"
    ]
    assert call["result"].strip() == "ok"
    (call,) = (await talk.say('/tool exec_shell {"command": "env"}'))["tool_calls"]
    assert "AGENT_RUNTIME" not in call["result"]
    assert "SHOAL" not in call["result"]


async def test_cancel_kills_the_processes_of_a_tool(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door, tools=ALL_AUTO)
    run_id = await talk.run('/tool exec_shell {"command": "echo $$ > pid; (sleep 60; touch late) & sleep 60"}')
    file = shared_door.state / "workspaces" / talk.account_id / talk.agent_id / "pid"
    await eventually(lambda: file.exists() and file.read_text().strip())
    pid = int(file.read_text())
    cancelled = (await talk.client.post(f"/api/runs/{run_id}/cancel")).json()
    assert (cancelled["status"], cancelled["tool_calls"][0]["status"]) == ("cancelled", "cancelled")
    assert cancelled["error"] == {
        "code": "run_cancelled",
        "message": "The run was cancelled before the agent had answered.",
    }
    await eventually(lambda: not group(pid))
    assistant = (await talk.messages())[-1]
    assert assistant["incomplete"]
    assert assistant["tool_calls"][0]["name"] == "exec_shell"
    assert "Hello" in (await talk.say("Hello"))["content"]


@pytest.mark.parametrize("away", ["setsid {} &", "(setsid env -i {} &);"])
async def test_who_leaves_the_group_dies_with_the_call_too(shared_door: Door, away: str) -> None:
    talk = await Talk.begin(shared_door, tools=ALL_AUTO)
    command = away.format("/bin/sh -c 'echo $$ > pid; exec sleep 300'") + " sleep 60"
    run_id = await talk.run("/tool exec_shell " + json.dumps({"command": command}))
    file = shared_door.state / "workspaces" / talk.account_id / talk.agent_id / "pid"
    await eventually(lambda: file.exists() and file.read_text().strip())
    pid = int(file.read_text())
    assert is_alive(pid)
    await talk.client.post(f"/api/runs/{run_id}/cancel")
    await eventually(lambda: not is_alive(pid))


async def test_too_many_processes_end_the_call(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door, tools=ALL_AUTO)
    command = "i=0; while [ $i -lt 200 ]; do setsid sleep 300 & echo $!; i=$((i + 1)); done; wait"
    (call,) = (await talk.say("/tool exec_shell " + json.dumps({"command": command})))["tool_calls"]
    assert call["is_error"]
    told, *pids = call["result"].splitlines()
    assert told == "Stopped: it had more than 128 processes."
    assert len(pids) > 100
    assert not any(is_alive(int(pid)) for pid in pids)


async def test_calls_of_one_step_run_at_once(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door, tools=ALL_AUTO)
    loop = asyncio.get_running_loop()
    started = loop.time()
    await talk.say("\n".join(['/tool exec_shell {"command": "sleep 0.4"}'] * 4))
    assert loop.time() - started < 1.5
