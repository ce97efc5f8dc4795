"""An account that is no more leaves nothing behind."""

from uuid import uuid4

import pytest
from runtime_door import Door
from runtime_talk import Talk

from shoal.testing.suite import eventually
from shoal_events import AccountDeleted

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLES = (
    *("memory", "skill", "skill_beginning", "configuration", "provider"),
    *("cron_job", "cron_firing", "delegation_rule", "delegation_beginning", "delegation"),
)


async def rows(door: Door, account_id: str) -> dict[str, int]:
    counts = {}
    for table in TABLES:
        [found] = await door.sql(f"select count(*) from {table} where account_id = $1", account_id)  # noqa: S608
        counts[table] = found["count"]
    return counts


async def test_what_an_account_had_goes_with_it_and_nothing_else(shared_door: Door) -> None:
    talk, other = await Talk.begin(shared_door), await Talk.begin(shared_door)
    for one in (talk, other):
        provider = {"api_base": "https://1.1.1.1", "api_key": "secret"}
        config = (await one.client.get("/api/config")).json() | {"providers": {"anthropic": provider}}
        assert (await one.client.put("/api/config", json=config)).status_code == 200
        await one.client.post("/api/memory", json={"key": "k", "value": "v"})
        await one.client.get("/api/skills")
        job = (await one.client.post("/api/cron", json={"name": "j", "schedule": "0 0 1 1 *"})).json()
        await one.client.post(f"/api/cron/{job['id']}/run")
        await one.say('/tool delegate_task {"tool_name": "calculate", "task": "1+1"}')
        assert 0 not in (await rows(shared_door, one.account_id)).values()
    kept = await rows(shared_door, other.account_id)

    await shared_door.suite.publish(AccountDeleted(account_id=talk.account_id, version=2), event_id=str(uuid4()))

    async def is_gone() -> bool:
        return not any((await rows(shared_door, talk.account_id)).values())

    await eventually(is_gone)
    assert await rows(shared_door, other.account_id) == kept
