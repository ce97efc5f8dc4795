"""The narrow columns of `minute` and `bucket` that one chart needs."""

from metrics_query.domain.minutes import Minute
from metrics_query.domain.moments import from_minute, to_minute
from metrics_query.domain.series import Totals
from metrics_query.repositories.minutes import to_gauge, to_latency
from shoal.database import Transaction


class SeriesRepository:
    """Parts of minute rows, and sums of hours."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def latencies(self, source: int, start: int, end: int) -> dict[int, Minute]:
        """Read the response times of minutes."""
        records = await self._tx.connection.fetch(
            """
            select minute, measured_idx, measured_cnt, measured_sum, measured_low, measured_high,
                   averaged_idx, averaged_cnt, averaged_sum, averaged_low, averaged_high
              from minute
             where source = $1 and minute >= $2 and minute < $3 and (measured_sum > 0 or averaged_sum > 0)
             order by minute
            """,
            *(source, from_minute(start), from_minute(end)),
        )
        return {
            to_minute(record[0]): Minute(measured=to_latency(*record[1:6]), averaged=to_latency(*record[6:11]))
            for record in map(tuple, records)
        }

    async def sessions(self, source: int, start: int, end: int) -> dict[int, Minute]:
        """Read the session counts of minutes."""
        records = await self._tx.connection.fetch(
            """
            select minute, sessions_n, sessions_sum, sessions_low, sessions_high
              from minute
             where source = $1 and minute >= $2 and minute < $3 and sessions_n > 0
             order by minute
            """,
            *(source, from_minute(start), from_minute(end)),
        )
        return {to_minute(record[0]): Minute(sessions=to_gauge(*record[1:])) for record in map(tuple, records)}

    async def memory(self, source: int, start: int, end: int) -> dict[int, Minute]:
        """Read the memory in use in minutes."""
        records = await self._tx.connection.fetch(
            """
            select minute, memory_n, memory_sum, memory_low, memory_high
              from minute
             where source = $1 and minute >= $2 and minute < $3 and memory_n > 0
             order by minute
            """,
            *(source, from_minute(start), from_minute(end)),
        )
        return {to_minute(record[0]): Minute(memory=to_gauge(*record[1:])) for record in map(tuple, records)}

    async def cpu(self, source: int, start: int, end: int) -> dict[int, Minute]:
        """Read the processor use of minutes."""
        records = await self._tx.connection.fetch(
            """
            select minute, cpu_n, cpu_sum, cpu_low, cpu_high
              from minute
             where source = $1 and minute >= $2 and minute < $3 and cpu_n > 0
             order by minute
            """,
            *(source, from_minute(start), from_minute(end)),
        )
        return {to_minute(record[0]): Minute(cpu=to_gauge(*record[1:])) for record in map(tuple, records)}

    async def hours(self, source: int, start: int, end: int) -> dict[int, Totals]:
        """Read the sums of hours, by the minute they start with."""
        records = await self._tx.connection.fetch(
            """
            select start, messages, errors, revenue, tokens, latency_n, latency_sum, measured
              from bucket
             where grain = 'hour' and source = $1 and start >= $2 and start < $3
            """,
            *(source, from_minute(start), from_minute(end)),
        )
        return {
            to_minute(start): Totals(messages=m, errors=e, revenue=r, tokens=t, n=n, latency=latency, measured=measured)
            for start, m, e, r, t, n, latency, measured in records
        }

    async def reported_messages_24h(self, source: int, *, since: int) -> int | None:
        """Read how many messages the agent itself counted in the day before, if it said so recently."""
        reported: int | None = await self._tx.value(
            """
            select messages_24h
              from minute
             where source = $1 and minute >= $2 and messages_24h is not null
             order by minute desc
             limit 1
            """,
            *(source, from_minute(since)),
        )
        return reported
