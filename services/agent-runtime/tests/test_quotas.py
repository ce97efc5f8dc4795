"""What an account may have so many of, it never has more of, whoever adds at once."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from msgspec import Struct
from runtime_door import Door
from runtime_talk import Talk

from shoal.testing.suite import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Kind(Struct, frozen=True):
    """Something that accounts have: its table, how many there may be, how the table is filled, how one is added."""

    table: str
    most: int
    filling: str
    method: str
    path: Callable[[int], str]
    body: Callable[[int], dict[str, Any]]
    code: str


PACKAGES = ("release-checklist", "web-research", "meeting-notes", "incident-report", "status-board")
KINDS = (
    Kind(
        "memory",
        10_000,
        "(account_id, key, value, namespace, haystack, text) select $1, 'k' || n, '', 'default', '', ''",
        "POST",
        lambda _: "/api/memory",
        lambda n: {"key": f"new{n}", "value": "v"},
        "memory_full",
    ),
    Kind(
        "skill",
        200,
        "(account_id, name, version, description, instructions, source) select $1, 'k' || n, '1', '', '', ''",
        "POST",
        lambda _: "/api/skills/install",
        lambda n: {"id": f"builtin:{PACKAGES[n]}"},
        "too_many_skills",
    ),
    Kind(
        "cron_job",
        100,
        "(id, account_id, name, schedule) select $1 || n, $1, 'k', '0 0 1 1 *'",
        "POST",
        lambda _: "/api/cron",
        lambda n: {"name": f"new{n}", "schedule": "0 0 1 1 *"},
        "too_many_cron_jobs",
    ),
    Kind(
        "delegation_rule",
        100,
        "(account_id, name, pattern, target, complexity_threshold, is_enabled, priority)"
        " select $1, 'k' || n, 'x', 'booster', 1, true, 1",
        "PATCH",
        lambda _: "/api/delegation/rules",
        lambda n: {"name": f"new{n}", "pattern": "x", "target": "agent-booster"},
        "too_many_delegation_rules",
    ),
    Kind(
        "mcp_server",
        20,
        "(account_id, name, url, is_enabled) select $1, 'k' || n, 'https://1.1.1.1/', false",
        "PUT",
        lambda n: f"/api/mcp-servers/new{n}",
        lambda _: {"url": "https://1.1.1.1/", "enabled": False},
        "too_many_mcp_servers",
    ),
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.table)
async def test_of_many_who_add_the_last_one_at_once_one_does(shared_door: Door, kind: Kind) -> None:
    talk = await Talk.begin(shared_door)
    for subject in ("skills", "delegation/rules"):  # what every account begins with is there
        (await talk.client.get(f"/api/{subject}")).raise_for_status()
    left = kind.most - 1 - await count(talk, kind)
    await shared_door.sql(
        f"insert into {kind.table} {kind.filling} from generate_series(1, {left}) as n", talk.account_id
    )

    def add(number: int) -> asyncio.Task[httpx.Response]:
        return asyncio.create_task(talk.client.request(kind.method, kind.path(number), json=kind.body(number)))

    async def wait() -> bool:
        [found] = await shared_door.sql("select count(*) from pg_locks where not granted")
        return bool(found["count"] >= 2)

    async with shared_door.held(f"lock table {kind.table} in share mode"):
        adding = [add(number) for number in range(5)]
        await eventually(wait)
    answers = [await task for task in adding]
    assert sorted(answer.status_code < 300 for answer in answers) == [False] * 4 + [True]
    assert {answer.json()["error"]["code"] for answer in answers if answer.status_code >= 300} == {kind.code}
    assert await count(talk, kind) == kind.most


async def count(talk: Talk, kind: Kind) -> int:
    [found] = await talk.door.sql(f"select count(*) from {kind.table} where account_id = $1", talk.account_id)  # noqa: S608
    return int(found["count"])
