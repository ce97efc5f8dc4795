"""Whatever way samples arrive, the hours come out as a recount of the raw frames says.

`recounted` is that recount: rules 1 to 7 of `metrics_query.domain.increments`, written a second time and plainly,
over the frames as they were sent.
"""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from metrics_query.usecases.rollups import Rollups
from metrics_query.usecases.samples import Samples
from shoal.database import Database
from shoal_events import Sample, SampleError, SampleGroup, SampleMetrics, SampleSkill, TelemetryBatch

Frame = tuple[str, Sample]
Gain = tuple[int, int, int]
"""When, how far back, how much."""
HOURS = 5


def recounted(frames: list[Frame]) -> dict[int, list[int]]:
    """Count messages, errors, millionths and tokens by hour."""
    minutes, error_frames = last_of_each_minute(frames)
    messages = gains_of(minutes, "agent", "messages_1h", "messages_total")
    errors = gains_of(minutes, "agent", "errors_1h", "errors_total")
    errors += [
        (minute * 60 + 60, 60, number)
        for minute, number in error_frames.items()
        if not tells(minutes, minute // 60, "errors_1h", "errors_total")
    ]
    revenue = gains_of(minutes, "agent", "revenue_1h", "revenue_total")
    revenue += [
        (at, reach, gain)
        for skill in {who for row in minutes.values() for who in row if who != "agent"}
        for at, reach, gain in gains_of(minutes, skill, "revenue_1h", "")
        if not tells(minutes, at // 3600, "revenue_1h", "revenue_total")
    ]
    tokens = gains_of(minutes, "agent", "", "tokens_total")
    hours: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for kind, gains in enumerate((messages, errors, revenue, tokens)):
        for at, reach, gain in gains:
            for hour in {(at - 1) // 3600, (at - reach) // 3600}:
                low, high = (gain * (min(max(edge, at - reach), at) - at + reach) // reach for edge in edges(hour))
                hours[hour][kind] += high - low
    return {hour: counts for hour, counts in hours.items() if any(counts)}


def last_of_each_minute(frames: list[Frame]) -> tuple[dict[int, dict[str, Any]], dict[int, int]]:
    minutes: dict[int, dict[str, Any]] = defaultdict(dict)
    error_frames: dict[int, int] = defaultdict(int)
    for epoch, frame in frames:
        minute, stamp = int(frame.at.timestamp()) // 60, (frame.at, epoch, frame.seq)
        told = {f"skill {name}": skill for name, skill in frame.skills.items()}
        if frame.metrics is not None:
            told["agent"] = frame.metrics
        for who, what in told.items():
            known = minutes[minute].get(who, (stamp, what))
            minutes[minute][who] = (stamp, what) if stamp > known[0] else known
        if frame.error is not None:
            error_frames[minute] += 1
    return minutes, error_frames


def edges(hour: int) -> tuple[int, int]:
    return hour * 3600, hour * 3600 + 3600


def tells(minutes: dict, hour: int, *names: str) -> bool:
    rows = [row["agent"][1] for minute, row in minutes.items() if minute // 60 == hour and "agent" in row]
    return any(getattr(row, name) is not None for row in rows for name in names)


def gains_of(minutes: dict, who: str, rolling: str, counter: str) -> list[Gain]:
    gains: list[Gain] = []
    p = c_before = u_before = f = None
    for _, row in sorted(minutes.items()):
        if who not in row:
            continue
        (at, _, _), told = row[who]
        t, v, c = int(at.timestamp()), as_number(getattr(told, rolling, None)), as_number(getattr(told, counter, None))
        u = as_number(getattr(told, "uptime_s", None))
        if v is None and c is None:
            continue
        held = sum(
            g - g * min(back, max(0, t - 3600 - (b - back))) // back
            for b, back, g in gains
            if b > t - 3600 and (f is None or b > f)
        )
        restarted = (u is not None and u_before is not None and u < u_before) or (
            c is not None and c_before is not None and c < c_before
        )
        young = u is not None and u < 3600
        r = 3600 if p is None else max(1, min(3600, t - (p + 1 if p % 60 == 59 else p)))
        if c is not None and c_before is not None and not restarted:
            gain = c - c_before
        elif c is not None and (restarted or (young and p is None)):
            gain = min(c, v) if young and v is not None else c
            r = max(1, min(r, u)) if u is not None else r
        elif v is not None:
            if restarted and 2 * v < held:
                f, held = p, 0
            gain = max(0, v - held)
        else:
            gain = 0
        if gain:
            gains.append((t, r, gain))
        p, c_before, u_before = t, c, u if u is not None else u_before
    return gains


def as_number(value: float | str | None) -> int | None:
    if isinstance(value, str):
        return int(Decimal(value) * 10**6)
    return None if value is None else int(value)


def an_agents_life(dice: random.Random, kind: str) -> list[Frame]:
    """Make the frames of some hours: gauges, counters or both, restarts, gaps, several frames a minute, two epochs."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS)
    at, booted, seqs, frames = start, start - timedelta(hours=9), {"e1": 0, "e2": 0}, []
    total, errors, earned = dice.randint(0, 1000), 0, 0
    while at < start + timedelta(hours=HOURS):
        at += timedelta(seconds=dice.choice([20, 55, 60, 61, 65, 300]), microseconds=dice.randint(0, 999_999))
        if dice.random() < 0.01:
            booted, total, errors, earned = at, 0, 0, 0
        total, errors, earned = total + dice.randint(0, 9), errors + dice.randint(0, 2), earned + dice.randint(0, 5)
        epoch = dice.choice(["e1", "e1", "e2"])
        frame = {"uptime_s": (at - booted).total_seconds() // 1}
        if kind in {"gauges", "both"}:
            frame |= {"messages_1h": dice.randint(80, 160), "messages_24h": 2000, "avg_response_ms": 850.0}
        if kind in {"counters", "both"} and dice.random() < 0.9:
            frame |= {"messages_total": total, "errors_total": errors, "revenue_total": f"{earned}.25"}
            frame |= {"tokens_total": 900 * total}
        told = [{"metrics": SampleMetrics(**frame)}] if dice.random() < 0.9 else []
        if dice.random() < 0.3:
            told.append({"error": SampleError(error_type="timeout", skill="draw")})
        if dice.random() < 0.5:
            skill = SampleSkill(calls_1h=dice.randint(0, 50), revenue_1h=f"0.{dice.randint(10, 99)}")
            told.append({"skills": {dice.choice(["draw", "write"]): skill}})
        for what in told:
            seqs[epoch] += 1
            frames.append((epoch, Sample(seq=seqs[epoch], at=at, **what)))
    return frames


def packed(dice: random.Random, frames: list[Frame], agent_id: str) -> list[TelemetryBatch]:
    """Pack frames anyhow: shuffled, in batches of any size, many of them again in other batches."""
    sent = dice.sample(frames, len(frames)) + dice.sample(frames, len(frames) // 2)
    batches = []
    while sent:
        size = dice.choice([1, 5, 60, 300])
        some, sent = sent[:size], sent[size:]
        by_epoch: dict[str, list[Sample]] = defaultdict(list)
        for epoch, sample in some:
            by_epoch[epoch].append(sample)
        groups = [
            SampleGroup(account_id="acct_1", agent_id=agent_id, epoch=epoch, samples=tuple(samples))
            for epoch, samples in by_epoch.items()
        ]
        batches.append(TelemetryBatch(batch_id=str(len(batches)), process="p", groups=tuple(groups)))
    return batches


ROWS = {
    "minute": "select r.* from minute r join source s on s.id = r.source where agent_id = $1 order by minute",
    "ledger": "select r.* from ledger r join source s on s.id = r.source where agent_id = $1 order by hour",
    "bucket": "select r.* from bucket r join source s on s.id = r.source where agent_id = $1 order by grain, start",
    "skills": """
        select r.* from skill_bucket r join source s on s.id = r.source where agent_id = $1 order by grain, start, skill
        """,
}


async def rows(connection: Any, table: str, agent_id: str) -> list[tuple[Any, ...]]:
    records = await connection.fetch(ROWS[table], agent_id)
    return [tuple(value for key, value in record.items() if key != "source") for record in records]


@pytest.mark.parametrize("kind", ["gauges", "counters", "both", "errors and skills only"])
async def test_hours_are_what_a_recount_of_the_frames_says(
    kind: str, samples: Samples, rollups: Rollups, database: Database
) -> None:
    dice = random.Random(kind)
    frames = an_agents_life(dice, kind)
    for batch in packed(dice, frames, "agent_1"):
        await samples.count([batch])
        if dice.random() < 0.1:
            await rollups.roll_all(at_least=timedelta(0))
    await rollups.roll_all(at_least=timedelta(0))
    async with database.reading() as tx:
        stored = {
            int(record["start"].timestamp()) // 3600: list(record)[1:]
            for record in await tx.connection.fetch(
                "select start, messages, errors, revenue, tokens from bucket where grain = 'hour'"
            )
        }
    found = {hour: counts for hour, counts in stored.items() if any(counts)}
    assert len(found) >= HOURS
    assert found == recounted(frames)


@pytest.mark.parametrize("kind", ["gauges", "both"])
async def test_every_row_is_the_same_in_whatever_order_samples_came(
    kind: str, samples: Samples, rollups: Rollups, database: Database
) -> None:
    dice = random.Random(kind)
    frames = an_agents_life(dice, kind)
    for agent_id in ("agent_1", "agent_2"):
        for batch in packed(dice, frames, agent_id):
            await samples.count([batch])
            if agent_id == "agent_1" and dice.random() < 0.2:
                await rollups.roll_all(at_least=timedelta(0))
    await rollups.roll_all(at_least=timedelta(0))
    async with database.reading() as tx:
        for table in ROWS:
            found = await rows(tx.connection, table, "agent_1")
            assert found, table
            assert found == await rows(tx.connection, table, "agent_2"), table
        sums = await tx.connection.fetch(
            """
            select sum(messages), sum(errors), sum(revenue), sum(tokens), sum(latency_n), sum(latency_sum),
                   sum(memory_n)
              from bucket group by grain
            """
        )
    assert sums[0] == sums[1]
