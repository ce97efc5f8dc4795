"""Tables `bucket` and `skill_bucket`."""

from collections.abc import Mapping, Sequence
from typing import Any

from metrics_query.domain.buckets import Bucket
from metrics_query.domain.moments import from_minute, to_minute
from metrics_query.domain.periods import Grain
from metrics_query.domain.skills import SkillBucket
from metrics_query.repositories.minutes import from_gauge, from_latency, to_gauge, to_latency
from shoal.database import Transaction

_COLUMNS = (
    *("grain", "source", "start", "messages", "errors", "revenue", "tokens"),
    *("latency_idx", "latency_cnt", "latency_n", "latency_sum", "latency_low", "latency_high", "measured"),
    *("sessions_n", "sessions_sum", "sessions_low", "sessions_high"),
    *("memory_n", "memory_sum", "memory_low", "memory_high", "cpu_n", "cpu_sum", "cpu_low", "cpu_high"),
)
"""Named where rows are copied in, so that this goes on when the table has got another one."""


class BucketRepository:
    """Hours and days, by the minute they start with; whoever writes holds the lock of the source."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def between(self, grain: Grain, source: int, start: int, end: int) -> dict[int, Bucket]:
        """Read an agent's buckets from one minute up to and without another."""
        records = await self._tx.connection.fetch(
            """
            select start, messages, errors, revenue, tokens,
                   latency_idx, latency_cnt, latency_sum, latency_low, latency_high, measured,
                   sessions_n, sessions_sum, sessions_low, sessions_high,
                   memory_n, memory_sum, memory_low, memory_high, cpu_n, cpu_sum, cpu_low, cpu_high
              from bucket
             where grain = $1 and source = $2 and start >= $3 and start < $4
             order by start
            """,
            *(grain.value, source, from_minute(start), from_minute(end)),
        )
        return {to_minute(record[0]): _bucket(record) for record in records}

    async def save(self, grain: Grain, source: int, buckets: Mapping[int, Bucket]) -> None:
        """Write an agent's buckets in the place of those that there are."""
        starts = [from_minute(start) for start in buckets]
        await self._tx.execute(
            "delete from bucket where grain = $1 and source = $2 and start = any($3)", grain.value, source, starts
        )
        await self._tx.connection.copy_records_to_table(
            "bucket",
            columns=_COLUMNS,
            records=[_record(grain, source, start, bucket) for start, bucket in buckets.items()],
        )

    async def skills_between(
        self, grain: Grain, source: int, start: int, end: int
    ) -> dict[int, dict[str, SkillBucket]]:
        """Read the buckets of an agent's skills, by start and skill."""
        records = await self._tx.connection.fetch(
            """
            select start, skill, calls, revenue, errors, latency_n, latency_sum
              from skill_bucket
             where grain = $1 and source = $2 and start >= $3 and start < $4
             order by start, skill
            """,
            *(grain.value, source, from_minute(start), from_minute(end)),
        )
        found: dict[int, dict[str, SkillBucket]] = {}
        for begins, skill, calls, revenue, errors, n, latency in records:
            bucket = SkillBucket(calls=calls, revenue=revenue, errors=errors, n=n, latency=latency)
            found.setdefault(to_minute(begins), {})[skill] = bucket
        return found

    async def save_skills(self, grain: Grain, source: int, skills: Mapping[int, Mapping[str, SkillBucket]]) -> None:
        """Write the buckets of an agent's skills in the place of those that there are at these starts."""
        starts = [from_minute(start) for start in skills]
        await self._tx.execute(
            "delete from skill_bucket where grain = $1 and source = $2 and start = any($3)", grain.value, source, starts
        )
        await self._tx.connection.copy_records_to_table(
            "skill_bucket",
            records=[
                *(
                    (grain.value, source, from_minute(start), skill, b.calls, b.revenue, b.errors, b.n, b.latency)
                    for start, buckets in skills.items()
                    for skill, b in buckets.items()
                )
            ],
        )


def _bucket(record: Sequence[Any]) -> Bucket:
    columns = tuple(record)
    return Bucket(
        messages=columns[1],
        errors=columns[2],
        revenue=columns[3],
        tokens=columns[4],
        latency=to_latency(*columns[5:10]),
        measured=columns[10],
        sessions=to_gauge(*columns[11:15]),
        memory=to_gauge(*columns[15:19]),
        cpu=to_gauge(*columns[19:23]),
    )


def _record(grain: Grain, source: int, start: int, bucket: Bucket) -> tuple[Any, ...]:
    idx, cnt, total, low, high = from_latency(bucket.latency)
    return (
        *(grain.value, source, from_minute(start), bucket.messages, bucket.errors, bucket.revenue, bucket.tokens),
        *(idx, cnt, bucket.latency.n, total, low, high, bucket.measured),
        *from_gauge(bucket.sessions),
        *from_gauge(bucket.memory),
        *from_gauge(bucket.cpu),
    )
