"""Many agents at once: sums of hours and days, and what each said last."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from metrics_query.domain.gauges import Present
from metrics_query.domain.moments import from_minute, to_minute
from metrics_query.domain.periods import Window
from metrics_query.domain.series import Totals
from shoal.database import Transaction


class FleetRepository:
    """Reads the rows of many sources."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def totals(self, sources: Sequence[int], span: Window) -> dict[int, Totals]:
        """Sum up a window for each source."""
        records = await self._tx.connection.fetch(
            """
            select source, sum(messages), sum(errors), sum(revenue), sum(tokens), sum(latency_n), sum(latency_sum),
                   sum(measured)
              from bucket
             where grain = $1 and source = any($2) and start >= $3 and start < $4
             group by source
            """,
            *(span.grain.value, sources, from_minute(span.start), from_minute(span.end)),
        )
        return {record[0]: _totals(*tuple(record)[1:]) for record in records}

    async def points(self, sources: Sequence[int], span: Window) -> dict[int, Totals]:
        """Sum up the sources for each row's start in a window."""
        records = await self._tx.connection.fetch(
            """
            select start, sum(messages), sum(errors), sum(revenue), sum(tokens), sum(latency_n), sum(latency_sum),
                   sum(measured)
              from bucket
             where grain = $1 and source = any($2) and start >= $3 and start < $4
             group by start
             order by start
            """,
            *(span.grain.value, sources, from_minute(span.start), from_minute(span.end)),
        )
        return {to_minute(record[0]): _totals(*tuple(record)[1:]) for record in records}

    async def as_of(self, sources: Sequence[int]) -> datetime:
        """Tell up to when every sample is part of hours and days."""
        moment: datetime = await self._tx.value(
            "select least(now(), min(since)) from dirty_hour where source = any($1)", sources
        )
        return moment

    async def present(self, sources: Sequence[int], *, since: int) -> list[Present]:
        """Read the latest minute of each source that told something of itself recently."""
        return await self._tx.all(
            Present,
            """
            select source.id as source, last.minute, last.messages_1h, last.messages_24h, last.uptime_s,
                   last.sessions_sum::float8 / nullif(last.sessions_n, 0) as sessions,
                   last.memory_sum::float8 / nullif(last.memory_n, 0) as memory,
                   last.cpu_sum::float8 / nullif(last.cpu_n, 0) as cpu
              from source
             cross join lateral (
                   select minute, messages_1h, messages_24h, uptime_s,
                          sessions_sum, sessions_n, memory_sum, memory_n, cpu_sum, cpu_n
                     from minute
                    where minute.source = source.id and minute >= $2 and frames > 0
                    order by minute desc
                    limit 1) as last
             where source.id = any($1)
            """,
            *(sources, from_minute(since)),
        )


def _totals(*sums: Decimal) -> Totals:
    messages, errors, revenue, tokens, n, latency, measured = map(int, sums)
    return Totals(
        messages=messages, errors=errors, revenue=revenue, tokens=tokens, n=n, latency=latency, measured=measured
    )
