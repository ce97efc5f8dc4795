"""Tables `minute` and `skill_minute`."""

from collections.abc import Mapping, Sequence
from typing import Any

from metrics_query.domain.gauges import NO_READINGS, Gauge
from metrics_query.domain.latencies import NO_RESPONSES, Latency
from metrics_query.domain.minutes import Minute, Reading, SkillMinute, SkillReading, Stamp
from metrics_query.domain.moments import from_minute, to_minute
from shoal.database import Transaction

MinuteKey = tuple[int, int]
"""Source, minute."""
SkillKey = tuple[int, int, str]
"""Source, minute, skill."""
_COLUMNS = (
    *("source", "minute", "frames", "errors", "read_at", "read_epoch", "read_seq"),
    *("messages_1h", "messages_24h", "errors_1h", "revenue_1h"),
    *("messages_total", "errors_total", "revenue_total", "tokens_total", "uptime_s"),
    *("sessions_n", "sessions_sum", "sessions_low", "sessions_high"),
    *("memory_n", "memory_sum", "memory_low", "memory_high", "cpu_n", "cpu_sum", "cpu_low", "cpu_high"),
    *("measured_idx", "measured_cnt", "measured_sum", "measured_low", "measured_high"),
    *("averaged_idx", "averaged_cnt", "averaged_sum", "averaged_low", "averaged_high"),
)
"""Named where rows are copied in, so that this goes on when the table has got another one."""


class MinuteRepository:
    """Minute rows of agents and of their skills.

    A row is changed by taking it out, merging it in the domain and putting it back, all under the lock of its source:
    so what merging means is written once, and rows go in by COPY.
    """

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def take(self, keys: Sequence[MinuteKey]) -> dict[MinuteKey, Minute]:
        """Remove the rows that there are for these keys, and return them."""
        times = [from_minute(minute) for _, minute in keys]
        records = await self._tx.connection.fetch(
            """
            delete from minute as row
             using unnest($1::integer[], $2::timestamptz[]) as key (source, minute)
             where row.source = key.source
               and row.minute = key.minute
               and row.minute between $3 and $4
            returning row.source, row.minute, frames, errors, read_at, read_epoch, read_seq,
                      messages_1h, messages_24h, errors_1h, revenue_1h,
                      messages_total, errors_total, revenue_total, tokens_total, uptime_s,
                      sessions_n, sessions_sum, sessions_low, sessions_high,
                      memory_n, memory_sum, memory_low, memory_high, cpu_n, cpu_sum, cpu_low, cpu_high,
                      measured_idx, measured_cnt, measured_sum, measured_low, measured_high,
                      averaged_idx, averaged_cnt, averaged_sum, averaged_low, averaged_high
            """,
            *([source for source, _ in keys], times, min(times), max(times)),
        )
        return {(record[0], to_minute(record[1])): _minute(record) for record in records}

    async def put(self, rows: Mapping[MinuteKey, Minute]) -> None:
        """Write rows that are not there."""
        await self._tx.connection.copy_records_to_table(
            "minute", columns=_COLUMNS, records=[_record(key, row) for key, row in rows.items()]
        )

    async def between(self, source: int, start: int, end: int) -> dict[int, Minute]:
        """Read an agent's rows from one minute up to and without another, in their order."""
        records = await self._tx.connection.fetch(
            """
            select source, minute, frames, errors, read_at, read_epoch, read_seq,
                   messages_1h, messages_24h, errors_1h, revenue_1h,
                   messages_total, errors_total, revenue_total, tokens_total, uptime_s,
                   sessions_n, sessions_sum, sessions_low, sessions_high,
                   memory_n, memory_sum, memory_low, memory_high, cpu_n, cpu_sum, cpu_low, cpu_high,
                   measured_idx, measured_cnt, measured_sum, measured_low, measured_high,
                   averaged_idx, averaged_cnt, averaged_sum, averaged_low, averaged_high
              from minute
             where source = $1
               and minute >= $2
               and minute < $3
             order by minute
            """,
            *(source, from_minute(start), from_minute(end)),
        )
        return {to_minute(record[1]): _minute(record) for record in records}

    async def take_skills(self, keys: Sequence[SkillKey]) -> dict[SkillKey, SkillMinute]:
        """Remove the rows of skills that there are for these keys, and return them."""
        times = [from_minute(minute) for _, minute, _ in keys]
        records = await self._tx.connection.fetch(
            """
            delete from skill_minute as row
             using unnest($1::integer[], $2::timestamptz[], $3::text[]) as key (source, minute, skill)
             where row.source = key.source
               and row.minute = key.minute
               and row.skill = key.skill
               and row.minute between $4 and $5
            returning row.source, row.minute, row.skill, read_at, read_epoch, read_seq,
                      calls_1h, revenue_1h, errors, means_n, means_sum
            """,
            *([source for source, _, _ in keys], times, [skill for _, _, skill in keys], min(times), max(times)),
        )
        return {(record[0], to_minute(record[1]), record[2]): _skill_minute(record) for record in records}

    async def put_skills(self, rows: Mapping[SkillKey, SkillMinute]) -> None:
        """Write rows of skills that are not there."""
        await self._tx.connection.copy_records_to_table(
            "skill_minute", records=[_skill_record(key, row) for key, row in rows.items()]
        )

    async def skills_between(self, source: int, start: int, end: int) -> dict[tuple[int, str], SkillMinute]:
        """Read the rows of an agent's skills from one minute up to and without another, by minute and skill."""
        records = await self._tx.connection.fetch(
            """
            select source, minute, skill, read_at, read_epoch, read_seq,
                   calls_1h, revenue_1h, errors, means_n, means_sum
              from skill_minute
             where source = $1
               and minute >= $2
               and minute < $3
             order by minute, skill
            """,
            *(source, from_minute(start), from_minute(end)),
        )
        return {(to_minute(record[1]), record[2]): _skill_minute(record) for record in records}


def to_gauge(n: int, total: int, low: int | None, high: int | None) -> Gauge:
    """Make a gauge of its four columns."""
    return Gauge(n, total, low, high) if n else NO_READINGS


def to_latency(idx: list[int] | None, cnt: list[int], total: int, low: int | None, high: int | None) -> Latency:
    """Make a histogram of its five columns; an empty one has no arrays."""
    return Latency(tuple(idx), tuple(cnt), total, low, high) if idx else NO_RESPONSES


def from_gauge(gauge: Gauge) -> tuple[Any, ...]:
    """Give a gauge's four columns."""
    return gauge.n, gauge.total, gauge.low, gauge.high


def from_latency(latency: Latency) -> tuple[Any, ...]:
    """Give a histogram's five columns."""
    if not latency.idx:
        return None, None, 0, None, None
    return latency.idx, latency.cnt, latency.total, latency.low, latency.high


def _minute(record: Any) -> Minute:
    columns = tuple(record)
    reading = None if columns[4] is None else Reading(Stamp(*columns[4:7]), *columns[7:16])
    return Minute(
        frames=columns[2],
        errors=columns[3],
        reading=reading,
        sessions=to_gauge(*columns[16:20]),
        memory=to_gauge(*columns[20:24]),
        cpu=to_gauge(*columns[24:28]),
        measured=to_latency(*columns[28:33]),
        averaged=to_latency(*columns[33:38]),
    )


def _record(key: MinuteKey, row: Minute) -> tuple[Any, ...]:
    return (
        key[0],
        from_minute(key[1]),
        row.frames,
        row.errors,
        *_reading(row.reading),
        *from_gauge(row.sessions),
        *from_gauge(row.memory),
        *from_gauge(row.cpu),
        *from_latency(row.measured),
        *from_latency(row.averaged),
    )


def _reading(reading: Reading | None) -> tuple[Any, ...]:
    if reading is None:
        return (None,) * 12
    return (
        *(reading.stamp.at, reading.stamp.epoch, reading.stamp.seq),
        *(reading.messages_1h, reading.messages_24h, reading.errors_1h, reading.revenue_1h),
        *(reading.messages_total, reading.errors_total, reading.revenue_total, reading.tokens_total, reading.uptime_s),
    )


def _skill_minute(record: Any) -> SkillMinute:
    columns = tuple(record)
    reading = None if columns[3] is None else SkillReading(Stamp(*columns[3:6]), *columns[6:8])
    return SkillMinute(reading=reading, errors=columns[8], n=columns[9], latency=columns[10])


def _skill_record(key: SkillKey, row: SkillMinute) -> tuple[Any, ...]:
    read = row.reading
    told = (None,) * 5 if read is None else (*_stamp(read.stamp), read.calls_1h, read.revenue_1h)
    return key[0], from_minute(key[1]), key[2], *told, row.errors, row.n, row.latency


def _stamp(stamp: Stamp) -> tuple[Any, ...]:
    return stamp.at, stamp.epoch, stamp.seq
