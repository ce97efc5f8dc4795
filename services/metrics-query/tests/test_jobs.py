"""What the clock brings: retention, erasure, and the rights that the working role has."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from metrics_query.usecases.agents import Agents
from metrics_query.usecases.retention import Retention
from metrics_query.usecases.rollups import Rollups
from metrics_query.usecases.samples import Samples
from shoal.clock import Clock
from shoal.database import Database
from shoal_events import AccountDeleted, Sample, SampleError, SampleGroup, SampleMetrics, TelemetryBatch


class Later(Clock):
    """The machine's clock, some days later."""

    def __init__(self, days: int) -> None:
        self._days = days

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=self._days)

    def monotonic(self) -> float:
        return 0.0


def told(at: datetime, *, account_id: str = "acct_1", seq: int = 1) -> TelemetryBatch:
    samples = (
        Sample(seq=seq, at=at, metrics=SampleMetrics(messages_1h=60)),
        Sample(seq=seq + 1, at=at, error=SampleError(skill="draw")),
    )
    group = SampleGroup(account_id=account_id, agent_id="agent_1", epoch="e1", samples=samples)
    return TelemetryBatch(batch_id="b", process="p", groups=(group,))


async def sizes(database: Database) -> dict[str, int]:
    queries = {
        "minutes": "select count(*) from minute",
        "skills": "select count(*) from skill_minute",
        "hours": "select count(*) from bucket where grain = 'hour'",
        "days": "select count(*) from bucket where grain = 'day'",
        "ledgers": "select count(*) from ledger",
        "seen": "select count(*) from seen",
        "sources": "select count(*) from source",
    }
    async with database.reading() as tx:
        return {name: await tx.value(sql) for name, sql in queries.items()}


async def age(database: Database, days: int) -> None:
    """Let some days pass for what is compared with the database's own clock."""
    async with database.transaction() as tx:
        for statement in (
            "update seen set touched_at = touched_at - make_interval(days => $1)",
            "update ledger set hour = hour - make_interval(days => $1)",
            "update bucket set start = start - make_interval(days => $1)",
        ):
            await tx.execute(statement, days)


async def test_what_is_too_old_is_forgotten_but_days_stay(
    samples: Samples, rollups: Rollups, database: Database
) -> None:
    start = datetime.now(UTC).replace(minute=30)
    await samples.count([told(start - timedelta(hours=3))])
    await samples.count([told(start - timedelta(hours=2), seq=3)])
    await rollups.roll_all(at_least=timedelta(0))
    before = await sizes(database)
    await age(database, 40)
    month = Retention(
        database=database, clock=Later(40), minutes_kept=timedelta(days=31), hours_kept=timedelta(days=396)
    )
    await month.apply()
    after = await sizes(database)
    assert (after["minutes"], after["skills"], after["seen"], after["ledgers"]) == (0, 0, 0, 1)
    assert (after["hours"], after["days"]) == (before["hours"], before["days"])
    await age(database, 400)
    await month.apply()
    assert await sizes(database) == after | {"hours": 0}
    assert after["days"]


async def test_days_are_opened_in_advance(database: Database) -> None:
    retention = Retention(
        database=database, clock=Later(0), minutes_kept=timedelta(days=31), hours_kept=timedelta(days=396)
    )
    await retention.apply()
    await retention.apply()
    async with database.reading() as tx:
        days = await tx.value("select count(*) from pg_inherits where inhparent = 'minute'::regclass")
    assert days == 3


async def test_the_rows_of_a_closed_account_are_erased_also_when_they_come_late(
    samples: Samples, rollups: Rollups, database: Database
) -> None:
    agents = Agents(database=database)
    for account_id in ("acct_1", "acct_2"):
        await samples.count([told(datetime.now(UTC), account_id=account_id)])
    await rollups.roll_all(at_least=timedelta(0))
    async with database.transaction() as tx:
        await agents.account_deleted(tx, AccountDeleted(account_id="acct_1", version=2))
    whole = await sizes(database)
    for seq in (1, 3):
        await samples.count([told(datetime.now(UTC), seq=seq)])
        await agents.erase(tombstones_kept=timedelta(days=30))
        left = await sizes(database)
        assert left["sources"] == 1
        assert left["seen"] == whole["seen"] // 2
    async with database.reading() as tx:
        assert await tx.value("select account_id from source") == "acct_2"


async def test_rolling_up_twice_changes_nothing(samples: Samples, rollups: Rollups, database: Database) -> None:
    await samples.count([told(datetime.now(UTC))])
    assert await rollups.roll_all(at_least=timedelta(0)) == 1
    assert await rollups.roll_all(at_least=timedelta(0)) == 0
    before = await sizes(database)
    async with database.transaction() as tx:
        await tx.execute("insert into dirty_hour (source, hour) select source, hour from ledger")
    assert await rollups.roll_all(at_least=timedelta(0)) == 1
    assert await sizes(database) == before


async def test_a_source_that_is_being_counted_for_waits_for_the_next_turn(
    samples: Samples, rollups: Rollups, database: Database
) -> None:
    await samples.count([told(datetime.now(UTC))])
    async with database.transaction() as tx:
        await tx.execute("select from source for no key update")
        assert await rollups.roll_all(at_least=timedelta(0)) == 0
    assert await rollups.roll_all(at_least=timedelta(0)) == 1


async def test_the_working_role_opens_days_but_makes_no_tables(database: Database) -> None:
    async with database.reading() as tx:
        await tx.execute("select open_day('2026-01-30')")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await tx.execute("create table mine (id integer)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await tx.execute("drop table minute")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await tx.execute("select from pairing.pairing")
