"""Who is no more leaves nothing behind: neither rows nor files."""

import gc
from uuid import uuid4

import pytest
from runtime_door import Door
from runtime_sockets import wire
from runtime_talk import Talk

from agent_runtime.factory import Factory
from shoal.identity import Role
from shoal.testing.suite import eventually, user
from shoal_events import AccountDeleted

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRICE = {"provider": "openai", "model": "x", "input_per_million": 1, "output_per_million": 2}
DRAWN = {"command": "render", "id": "e", "element": {"type": "text", "content": "x"}}
WRITE = '/tool write_file {"path": "notes/a.txt", "content": "a"}'


async def rows(door: Door, account_id: str) -> dict[str, int]:
    """Count an account's rows in every table that knows accounts."""
    tables = await door.sql(
        """
        select table_name
          from information_schema.columns
         where table_schema = 'agent_runtime' and column_name = 'account_id'
        """
    )
    counts = {}
    for (table,) in tables:
        [found] = await door.sql(f"select count(*) from {table} where account_id = $1", account_id)  # noqa: S608
        counts[table] = found["count"]
    return counts


async def fill(talk: Talk) -> None:
    """Have something of everything."""
    client = talk.client
    provider = {"api_base": "https://1.1.1.1", "api_key": "secret"}
    config = (await client.get("/api/config")).json() | {"providers": {"anthropic": provider}}
    budget = {"scope": "account", "limit_tokens": 10**9}
    (await client.get("/api/skills")).raise_for_status()
    for method, path, body in (
        ("PUT", "/api/config", config),
        ("POST", "/api/memory", {"key": "k", "value": "v"}),
        ("POST", "/api/cron", {"name": "j", "schedule": "0 0 1 1 *"}),
        ("POST", "/api/canvas/s1/commands", DRAWN),
        ("PUT", "/api/voice/settings", {"pushToTalk": True}),
        ("PUT", "/api/mcp-servers/x", {"url": "https://1.1.1.1/", "enabled": False}),
        ("PUT", "/api/monitoring/budgets", budget),
        ("PUT", "/api/monitoring/prices", PRICE),
    ):
        (await client.request(method, path, json=body)).raise_for_status()
    (job,) = (await client.get("/api/cron")).json()
    (await client.post(f"/api/cron/{job['id']}/run")).raise_for_status()
    await talk.say('/tool delegate_task {"tool_name": "calculate", "task": "1+1"}')
    await talk.say(WRITE)


async def test_what_an_account_had_goes_with_it_and_nothing_else(shared_door: Door) -> None:
    talks = [await Talk.begin(shared_door, tools={"*": "auto"}) for _ in range(2)]
    for one in talks:
        await fill(one)
        who = user(one.account_id, f"user_{one.account_id}", role=Role.ADMIN)
        async with wire(shared_door.service, who) as page:
            await page.hear("connected")
            assert 0 not in (await rows(shared_door, one.account_id)).values()
    talk, other = talks

    async def socket_is_closed() -> bool:
        return not (await rows(shared_door, other.account_id))["socket"]

    await eventually(socket_is_closed)
    kept = await rows(shared_door, other.account_id)

    await shared_door.suite.publish(AccountDeleted(account_id=talk.account_id, version=2), event_id=str(uuid4()))

    async def is_gone() -> bool:
        return not any((await rows(shared_door, talk.account_id)).values())

    await eventually(is_gone)
    assert await rows(shared_door, other.account_id) == kept
    await clear(shared_door)
    folders = shared_door.state / "workspaces"
    assert not (folders / talk.account_id).exists()
    assert (folders / other.account_id / other.agent_id / "notes" / "a.txt").read_text() == "a"


async def test_run_whose_account_goes_is_left(
    shared_door: Door, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    talk = await Talk.begin(shared_door)
    run_id = await talk.run(f"/slowly {'word ' * 15}")

    async def is_told() -> bool:
        return bool(await shared_door.sql("select from run_event where run_id = $1 and type = 'text'", run_id))

    await eventually(is_told)
    await shared_door.suite.publish(AccountDeleted(account_id=talk.account_id, version=2), event_id=str(uuid4()))
    logged = [""]

    def is_done() -> bool:
        logged[0] += capfd.readouterr().out
        return any("run_done" in line and run_id in line for line in logged[0].splitlines())

    await eventually(is_done)
    gc.collect()
    told = logged[0] + caplog.text
    assert not {word for word in ("run_broke", "session_broke", "never retrieved") if word in told}


async def test_what_an_agent_wrote_goes_with_it_and_what_others_wrote_stays(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door, tools={"*": "auto"})
    (await talk.client.patch("/api/agents/agent_general", json={"tools": {"*": "auto"}})).raise_for_status()
    await talk.say(WRITE)
    key = (await talk.client.post("/api/sessions", json={"agent_id": "agent_general"})).json()["key"]
    (await talk.client.post(f"/api/sessions/{key}/messages", json={"content": WRITE})).raise_for_status()
    folder = shared_door.state / "workspaces" / talk.account_id
    stranger = shared_door.state / "workspaces" / "acct_unknown" / "agent_general"
    stranger.mkdir(parents=True)
    await clear(shared_door)
    assert {path.name for path in folder.iterdir()} == {talk.agent_id, "agent_general"}

    (await talk.client.delete(f"/api/agents/{talk.agent_id}")).raise_for_status()
    await clear(shared_door)

    assert [path.name for path in folder.iterdir()] == ["agent_general"]
    assert (folder / "agent_general" / "notes" / "a.txt").exists()
    assert stranger.exists(), "another installation's, for all we know"


async def clear(door: Door) -> None:
    await Factory(door.service.running.resources).tools.clearing().clear()
