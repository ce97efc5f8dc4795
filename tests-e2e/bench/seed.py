"""A month of a hundred agents, put where metrics-query keeps it, without waiting a month."""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from stack import PairedAgent, Stack

DAYS = 30
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LATENCY_BUCKETS = 137
"""Buckets in use by an hour of log-normal response times, as measured."""
BUCKET = (
    "grain", "source", "start", "messages", "errors", "revenue", "latency_idx", "latency_cnt", "latency_n",
    "latency_sum", "latency_low", "latency_high", "measured", "sessions_n", "sessions_sum", "sessions_low",
    "sessions_high", "memory_n", "memory_sum", "memory_low", "memory_high", "cpu_n", "cpu_sum", "cpu_low", "cpu_high",
)  # fmt: skip
MINUTE = (
    "source", "minute", "frames", "errors", "read_at", "read_epoch", "read_seq", "messages_1h", "sessions_n",
    "sessions_sum", "sessions_low", "sessions_high", "memory_n", "memory_sum", "memory_low", "memory_high", "cpu_n",
    "cpu_sum", "cpu_low", "cpu_high", "measured_idx", "measured_cnt", "measured_sum", "averaged_idx", "averaged_cnt",
    "averaged_sum", "averaged_low", "averaged_high",
)  # fmt: skip
GAUGES = (60, 180_000, 1_000, 5_000) * 3


async def seed(stack: Stack, agents: Sequence[PairedAgent]) -> dict[str, int]:
    """Copy hours, days and the last day's minutes of every agent; returns how many rows of each."""
    assert stack.suite.postgres is not None
    connection = await asyncpg.connect(stack.suite.postgres.url)
    now = datetime.now(UTC)
    account = (await stack.admin.get("/api/v1/auth/me"))["account"]["id"]
    try:
        await connection.execute("set search_path to metrics_query")
        for back in range(2):
            await connection.execute("select open_day($1)", (now - back * DAY).date())
        sources = await connection.fetch(
            "insert into source (account_id, agent_id, first_minute, last_minute)"
            " select $1, unnest($2::text[]), $3, $4 returning id",
            account, [agent.agent_id for agent in agents], now - DAYS * DAY, now,
        )  # fmt: skip
        ids = [row["id"] for row in sources]
        counted = {}
        for grain, length in (("hour", HOUR), ("day", DAY)):
            rows = [row for source in ids for row in buckets(source, grain, length, now)]
            await connection.copy_records_to_table("bucket", columns=BUCKET, records=rows)
            counted[grain] = len(rows)
        minutes = [row for source in ids for row in minutes_of(source, now)]
        await connection.copy_records_to_table("minute", columns=MINUTE, records=minutes)
        counted["minute"] = len(minutes)
        await connection.execute("vacuum analyze")
    finally:
        await connection.close()
    return counted


def buckets(source: int, grain: str, length: timedelta, now: datetime) -> Iterator[tuple[Any, ...]]:
    """Make one agent's hours or days of the month."""
    dice = random.Random(source)
    start = now.replace(minute=0, second=0, microsecond=0)
    start = start.replace(hour=0) if grain == "day" else start
    scale = length // HOUR
    for back in range(DAYS * DAY // length):
        low = dice.randrange(150, 200)
        counts = [dice.randrange(1, 9) * scale for _ in range(LATENCY_BUCKETS)]
        messages = 142 * scale
        yield (
            grain, source, start - back * length, messages, 3 * scale, 900_000 * scale,
            list(range(low, low + LATENCY_BUCKETS)), counts, sum(counts), sum(counts) * 850_000, 40_000, 9_000_000, 0,
            *GAUGES,
        )  # fmt: skip


def minutes_of(source: int, now: datetime) -> Iterator[tuple[Any, ...]]:
    """Make one agent's minutes of the last day: contract frames, six a minute."""
    dice = random.Random(source)
    start = now.replace(second=0, microsecond=0)
    for back in range(1440):
        minute = start - back * timedelta(minutes=1)
        low = dice.randrange(200, 300)
        yield (
            source, minute, 6, 0, minute, "seeded", back + 1, 142, *((6, 18_000, 1_000, 5_000) * 3), [], [], 0,
            [low, low + 5, low + 9], [2, 2, 2], 6 * 850_000, 700_000, 990_000,
        )  # fmt: skip
