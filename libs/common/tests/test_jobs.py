"""Jobs: one runner among many, and a turn that fails ends nothing."""

import asyncio
from datetime import timedelta

from shoal.database import Database
from shoal.jobs import Job, JobRunner
from shoal.leases import Leases
from shoal.telemetry import Metrics

from .toy import at_work, until


def runner(database: Database, metrics: Metrics, job: Job, owner: str) -> JobRunner:
    return JobRunner(job, leases=Leases(database, owner=owner, ttl=timedelta(seconds=1)), metrics=metrics)


async def test_one_runner_among_two_takes_the_turns(database: Database, metrics: Metrics) -> None:
    at_once = max_at_once = turns = 0

    async def act() -> None:
        nonlocal at_once, max_at_once, turns
        at_once += 1
        max_at_once = max(max_at_once, at_once)
        await asyncio.sleep(0.02)
        turns += 1
        at_once -= 1

    job = Job("count", timedelta(milliseconds=1), act)
    async with at_work(*(runner(database, metrics, job, owner).run() for owner in "ab")):
        await until(lambda: turns >= 10)
    assert max_at_once == 1


async def test_turn_that_fails_does_not_end_the_next(database: Database, metrics: Metrics) -> None:
    turns = 0

    async def act() -> None:
        nonlocal turns
        turns += 1
        if turns % 2:
            raise KeyError(turns)

    job = Job("stumble", timedelta(milliseconds=1), act)
    made = runner(database, metrics, job, "a")
    assert (made.name, made.problem()) == ("job stumble", None)
    async with at_work(made.run()):
        await until(lambda: turns >= 6)
    counts = {labels: child._sum.get() for labels, child in metrics.jobs._metrics.items()}
    assert set(counts) == {("stumble", "done"), ("stumble", "failed")}


async def test_turns_are_apart_from_the_end_of_one_to_the_start_of_the_next(
    database: Database, metrics: Metrics
) -> None:
    loop = asyncio.get_running_loop()
    moments: list[float] = []

    async def act() -> None:
        moments.append(loop.time())
        await asyncio.sleep(0.05)
        moments.append(loop.time())

    async with at_work(runner(database, metrics, Job("slow", timedelta(milliseconds=50), act), "a").run()):
        await until(lambda: len(moments) >= 6)
    assert all(start - end >= 0.045 for end, start in zip(moments[1::2], moments[2::2], strict=False))


async def test_jobs_of_different_names_run_side_by_side(database: Database, metrics: Metrics) -> None:
    meeting = asyncio.Barrier(2)

    async def act() -> None:
        async with asyncio.timeout(5):
            await meeting.wait()

    jobs = [Job(name, timedelta(hours=1), act) for name in ("one", "other")]
    async with at_work(*(runner(database, metrics, job, "a").run() for job in jobs)):
        await until(lambda: len(metrics.jobs._metrics) == 2)
    assert {outcome for _, outcome in metrics.jobs._metrics} == {"done"}
