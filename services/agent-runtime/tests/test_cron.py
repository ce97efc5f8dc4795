"""Cron, through the door: jobs that fire, each tick once."""

import asyncio
import contextlib
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from runtime_door import Door
from runtime_talk import Talk

from shoal.testing.suite import eventually, free_port
from shoal_events import CronFinished, CronFired

pytestmark = pytest.mark.asyncio(loop_scope="module")

JOB = {"name": "my-job", "schedule": "0 * * * *", "enabled": True}
EVERY_SECOND = "* * * * * *"


async def create(talk: Talk, **changes: Any) -> dict[str, Any]:
    created = await talk.client.post("/api/cron", json=JOB | changes)
    assert created.status_code == 201, created.text
    return dict(created.json())


async def shown(talk: Talk, job: dict[str, Any]) -> dict[str, Any]:
    return dict((await talk.client.get(f"/api/cron/{job['id']}")).json())


async def firings(talk: Talk, job: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await talk.client.get(f"/api/cron/{job['id']}/firings")
    assert answer.status_code == 200
    return list(answer.json())


async def until_ended(talk: Talk, job: dict[str, Any], *, count: int = 1) -> list[dict[str, Any]]:
    """Wait until so many firings are over; returns all, oldest first."""
    found: list[dict[str, Any]] = []

    async def are_over() -> bool:
        found[:] = reversed(await firings(talk, job))
        return sum("ended_at" in firing for firing in found) >= count

    await eventually(are_over, lambda: found, within_s=20)
    return found


async def test_jobs_are_created_changed_and_deleted(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    job = await create(talk)
    assert job["status"] == "idle"
    assert (job["name"], job["schedule"], job["enabled"]) == ("my-job", "0 * * * *", True)
    assert datetime.fromisoformat(job["next_run"]) - datetime.now(UTC) <= timedelta(hours=1)
    assert "last_run" not in job
    assert "payload" not in job
    assert (await talk.client.get("/api/cron")).json() == [job]
    changed = (await talk.client.put(f"/api/cron/{job['id']}", json={"enabled": False, "payload": "Tidy."})).json()
    assert changed == {key: job[key] for key in job if key != "next_run"} | {"enabled": False, "payload": "Tidy."}
    back = await talk.client.put(f"/api/cron/{job['id']}", json=changed | {"enabled": True, "payload": None})
    assert back.json() == job
    daily = {"schedule": "30 9 * * *", "timezone": "Asia/Kolkata"}
    moved = (await talk.client.put(f"/api/cron/{job['id']}", json=daily)).json()
    assert moved["next_run"].endswith("T04:00:00Z")
    assert (await talk.client.delete(f"/api/cron/{job['id']}")).json() == {"success": True}
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/run"), ("GET", "/firings")):
        gone = await talk.client.request(method, f"/api/cron/{job['id']}{path}", json={} if method == "PUT" else None)
        assert (gone.status_code, gone.json()["error"]["code"]) == (404, "cron_job_not_found"), method


async def test_run_now_has_an_agent_answer_and_the_result_makes_the_status(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    job = await create(talk, enabled=False, payload="Say hello to the night.")
    assert "next_run" not in job
    ran = (await talk.client.post(f"/api/cron/{job['id']}/run")).json()
    assert ran["success"] is True
    [firing] = await until_ended(talk, job)
    assert (firing["id"], firing["kind"], firing["status"]) == (ran["firing_id"], "manual", "completed")
    after = await shown(talk, job)
    assert (after["status"], after["enabled"]) == ("idle", False)
    assert "last_run" in after
    session = (await talk.client.get(f"/api/sessions/{job['session_key']}")).json()
    assert [message["role"] for message in session["messages"]] == ["user", "assistant"]
    assert session["messages"][0]["content"] == "Say hello to the night."
    fired = [fact for fact in await shared_door.suite.events(CronFired) if fact.job_id == job["id"]]
    ended = [fact for fact in await shared_door.suite.events(CronFinished) if fact.job_id == job["id"]]
    assert [(fact.firing_id, fact.kind) for fact in fired] == [(firing["id"], "manual")]
    assert [(fact.firing_id, fact.status, fact.run_id) for fact in ended] == [
        (firing["id"], "completed", firing["run_id"])
    ]
    assert ended[0].version > fired[0].version


async def test_a_firing_that_cannot_be_answered_makes_the_job_failed(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    job = await create(talk, enabled=False, agent_id=talk.agent_id)
    assert (await talk.client.post(f"/api/agents/{talk.agent_id}/stop")).status_code == 200
    await talk.client.post(f"/api/cron/{job['id']}/run")
    [firing] = await until_ended(talk, job)
    assert firing["status"] == "failed"
    failed = await shown(talk, job)
    assert failed["status"] == "failed"
    assert failed["last_error"] == firing["error"] != ""
    await talk.client.post(f"/api/agents/{talk.agent_id}/start")
    await talk.client.post(f"/api/cron/{job['id']}/run")
    await until_ended(talk, job, count=2)
    assert (await shown(talk, job))["status"] == "idle"
    assert "last_error" not in await shown(talk, job)


async def test_turns_of_one_account_that_wait_for_people_hold_up_no_other(shared_door: Door) -> None:
    waiting, other = await Talk.begin(shared_door), await Talk.begin(shared_door)
    asks = '/tool write_file {"path": "a", "content": "x"}'
    jobs = [await create(waiting, enabled=False, payload=asks) for _ in range(11)]
    for job in jobs:
        asked = [waiting.client.post(f"/api/cron/{job['id']}/run") for _ in range(20)]
        assert {answer.status_code for answer in await asyncio.gather(*asked)} == {200}
    job = await create(other, enabled=False)
    await other.client.post(f"/api/cron/{job['id']}/run")
    [firing] = await until_ended(other, job)
    assert firing["status"] == "completed"
    for job in jobs:
        await waiting.client.delete(f"/api/cron/{job['id']}")


async def test_every_tick_fires_once(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    job = await create(talk, schedule=EVERY_SECOND, payload="tick")
    await until_ended(talk, job, count=3)
    await talk.client.put(f"/api/cron/{job['id']}", json={"enabled": False})
    told = await until_ended(talk, job, count=len(await firings(talk, job)))
    due = [datetime.fromisoformat(firing["due_at"]) for firing in told]
    assert due == [due[0] + timedelta(seconds=number) for number in range(len(due))]
    assert len({firing["run_id"] for firing in told}) == len(told)
    session = (await talk.client.get(f"/api/sessions/{job['session_key']}")).json()
    assert [message["role"] for message in session["messages"]] == ["user", "assistant"] * len(told)


async def test_ticks_that_nobody_was_there_for_fire_once_or_not_at_all(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    skipping = await create(talk, schedule="0 3 * * *", missed="skip")
    once = await create(talk, schedule="0 3 * * *", missed="once")
    await shared_door.sql(
        "update cron_job set next_run = date_trunc('day', now()) - interval '3 days' where id = any ($1)",
        [skipping["id"], once["id"]],
    )
    await shared_door.sql("select pg_notify('agent_runtime_cron', '')")
    [firing] = await until_ended(talk, once)
    assert firing["status"] == "completed"
    assert await firings(talk, skipping) == []
    for job in (skipping, once):
        assert datetime.fromisoformat((await shown(talk, job))["next_run"]) > datetime.now(UTC)


async def test_what_is_wrong_is_refused(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    refused: list[dict[str, Any]] = [
        {"name": ""},
        {"name": "x" * 129},
        {"schedule": ""},
        {"schedule": "every day"},
        {"schedule": "0 0 31 2 *"},
        {"schedule": "0 0 0 1 1 * 9999"},
        {"timezone": "Mars/Base"},
        {"timezone": "localtime"},
        {"missed": "twice"},
        {"enabled": "yes"},
        {"payload": "x" * 16385},
        {"session_key": "a/b"},
        {"id": "cron_1"},
        {"owner": "me"},
    ]
    for changes in refused:
        assert (await talk.client.post("/api/cron", json=JOB | changes)).status_code == 400, changes
    assert (await talk.client.post("/api/cron", json={"name": "a"})).status_code == 400
    assert (await talk.client.post("/api/cron", json=JOB | {"agent_id": "none"})).status_code == 404
    job = await create(talk)
    for changes in ({"schedule": "x"}, {"owner": "me"}, {"name": None}, {"enabled": None}):
        assert (await talk.client.put(f"/api/cron/{job['id']}", json=changes)).status_code == 400, changes
    assert await shown(talk, job) == job


async def test_accounts_are_apart(shared_door: Door) -> None:
    talk, other = await Talk.begin(shared_door), await Talk.begin(shared_door)
    job = await create(talk)
    assert (await other.client.get("/api/cron")).json() == []
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/run"), ("GET", "/firings")):
        body = {"enabled": False} if method == "PUT" else None
        assert (await other.client.request(method, f"/api/cron/{job['id']}{path}", json=body)).status_code == 404
        asked = await shared_door.nobody.request(method, f"/api/cron/{job['id']}{path}", json=body)
        assert asked.status_code == 401
    assert await shown(talk, job) == job


async def test_a_job_that_names_a_session_as_another_account_has_it_speaks_in_its_own(shared_door: Door) -> None:
    talk, other = await Talk.begin(shared_door), await Talk.begin(shared_door)
    await talk.say("Our secret is CANARY.")
    said = await talk.messages()
    job = await create(other, enabled=False, session_key=talk.key, payload="What was said here?")
    assert (await other.client.get(f"/api/sessions/{talk.key}")).status_code == 404
    await other.client.post(f"/api/cron/{job['id']}/run")
    [firing] = await until_ended(other, job)
    assert firing["status"] == "completed"
    assert (await other.client.get(f"/api/runs/{firing['run_id']}")).json()["session_key"] == talk.key
    own = (await other.client.get(f"/api/sessions/{talk.key}")).json()
    assert [message["role"] for message in own["messages"]] == ["user", "assistant"]
    assert "CANARY" not in str(own)
    assert await talk.messages() == said
    assert (await talk.client.get(f"/api/runs/{firing['run_id']}")).status_code == 404


@pytest.mark.fault
@pytest.mark.timeout(120)
@pytest.mark.asyncio(loop_scope="function")
async def test_two_replicas_one_killed_fire_every_tick_once(open_door: Any, suite: Any, tmp_path: Any) -> None:
    settings = {"AGENT_RUNTIME_CRON_LEAST_PAUSE": "1s", "AGENT_RUNTIME_RUN_LEASE": "10s"}
    apart = {"SHOAL_STATE": str(tmp_path), "AGENT_RUNTIME_PORT": str(free_port()), "PATH": os.environ["PATH"]}
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent_runtime"),
        env=suite.environment() | settings | apart | {"AGENT_RUNTIME_RUN_LEASE": "2s"},
    )
    try:
        await eventually(lambda: _holds_lease(suite), within_s=30)
        door = await open_door(**settings)
        talk = await Talk.begin(door)
        job = await create(talk, schedule=EVERY_SECOND, payload="tick")
        await until_ended(talk, job, count=3)
        holder.send_signal(signal.SIGKILL)
        await holder.wait()
        killed_at = datetime.now(UTC)

        async def fired_since() -> bool:
            due = [datetime.fromisoformat(firing["due_at"]) for firing in await firings(talk, job)]
            return bool(due) and max(due) > killed_at + timedelta(seconds=16)

        await eventually(fired_since, within_s=30)
    finally:
        with contextlib.suppress(ProcessLookupError):
            holder.kill()
        await holder.wait()
    await talk.client.put(f"/api/cron/{job['id']}", json={"enabled": False})
    told = await until_ended(talk, job, count=len(await firings(talk, job)))
    due = [datetime.fromisoformat(firing["due_at"]) for firing in told]
    assert due == [due[0] + timedelta(seconds=number) for number in range(len(due))]
    runs = await door.sql("select id, idempotency_key, status from run where session_key = $1", job["session_key"])
    begun = [firing for firing in told if firing["status"] != "skipped"]  # as is what waits behind twenty others
    assert datetime.fromisoformat(begun[-1]["due_at"]) > killed_at
    assert sorted(run["idempotency_key"] for run in runs) == sorted(firing["id"] for firing in begun)
    assert {run["id"] for run in runs} == {firing["run_id"] for firing in begun}
    assert sum(run["status"] != "completed" for run in runs) <= 1, "only the turn that was killed"


async def _holds_lease(suite: Any) -> bool:
    connection = await asyncpg.connect(suite.database_url)
    try:
        return bool(await connection.fetchval("select true from agent_runtime.lease where key = 'cron'"))
    finally:
        await connection.close()
