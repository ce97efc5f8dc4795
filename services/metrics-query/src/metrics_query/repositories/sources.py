"""Tables `source`, `seen` and `dirty_hour`: where samples come from, which were counted, what they changed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from asyncpg import Range
from msgspec import Struct

from metrics_query.domain.moments import from_hour, from_minute, to_hour
from metrics_query.domain.seen import Ranges
from shoal.database import Transaction

Agent = tuple[str, str]
"""Account and agent."""
Epoch = tuple[int, str]
"""Source and epoch."""


class Source(Struct, frozen=True):
    """An agent as this schema knows it."""

    id: int
    account_id: str
    agent_id: str
    first_minute: datetime | None
    last_minute: datetime | None


class SourceRepository:
    """Sources, and what is kept to count each of their samples once."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(self, agents: Sequence[Agent]) -> None:
        """Give agents that have none a source."""
        await self._tx.execute(
            """
            insert into source (account_id, agent_id)
            select account_id, agent_id from unnest($1::text[], $2::text[]) as given (account_id, agent_id)
                on conflict do nothing
            """,
            *([account_id for account_id, _ in agents], [agent_id for _, agent_id in agents]),
        )

    async def lock(self, agents: Sequence[Agent]) -> dict[Agent, Source]:
        """Lock the sources of agents in the order of their ids; agents without one are missing from the answer."""
        sources = await self._tx.all(
            Source,
            """
            select id, account_id, agent_id, first_minute, last_minute
              from source
              join unnest($1::text[], $2::text[]) as given (account_id, agent_id) using (account_id, agent_id)
             order by id
               for no key update of source
            """,
            *([account_id for account_id, _ in agents], [agent_id for _, agent_id in agents]),
        )
        return {(source.account_id, source.agent_id): source for source in sources}

    async def lock_one(self, source: int) -> bool:
        """Lock a source; False when it is gone or someone else holds it."""
        return bool(await self._tx.value("select true from source where id = $1 for no key update skip locked", source))

    async def widen(self, spans: Mapping[int, tuple[int, int]]) -> None:
        """Let sources reach from one minute to another at least."""
        await self._tx.execute(
            """
            update source
               set first_minute = least(source.first_minute, given.low),
                   last_minute = greatest(source.last_minute, given.high)
              from unnest($1::integer[], $2::timestamptz[], $3::timestamptz[]) as given (id, low, high)
             where source.id = given.id
               and (source.first_minute <= given.low and source.last_minute >= given.high) is not true
            """,
            *(list(spans), [from_minute(low) for low, _ in spans.values()]),
            [from_minute(high) for _, high in spans.values()],
        )

    async def seen(self, epochs: Sequence[Epoch]) -> dict[Epoch, Ranges]:
        """Read which samples were counted."""
        records = await self._tx.connection.fetch(
            """
            select source, epoch, seqs
              from seen
              join unnest($1::integer[], $2::text[]) as given (source, epoch) using (source, epoch)
            """,
            *([source for source, _ in epochs], [epoch for _, epoch in epochs]),
        )
        return {(record[0], record[1]): tuple((part.lower, part.upper) for part in record[2]) for record in records}

    async def note_seen(self, seen: Mapping[Epoch, Ranges]) -> None:
        """Write which samples were counted."""
        await self._tx.execute_many(
            """
            insert into seen (source, epoch, seqs) values ($1, $2, $3)
                on conflict (source, epoch) do update set seqs = excluded.seqs, touched_at = now()
            """,
            [(*epoch, [Range(low, high) for low, high in ranges]) for epoch, ranges in seen.items()],
        )

    async def forget_seen(self, older_than: timedelta) -> int:
        """Forget epochs of which no sample could be taken any more; returns how many."""
        return await self._tx.execute("delete from seen where touched_at < now() - $1::interval", older_than)

    async def mark_dirty(self, hours: Iterable[tuple[int, int]]) -> None:
        """Note (source, hour) of changed minute rows."""
        marked = sorted(hours)
        await self._tx.execute(
            """
            insert into dirty_hour (source, hour)
            select source, hour from unnest($1::integer[], $2::timestamptz[]) as given (source, hour)
                on conflict do nothing
            """,
            *([source for source, _ in marked], [from_hour(hour) for _, hour in marked]),
        )

    async def dirty(self, source: int) -> list[int]:
        """List the hours of a source whose rows changed since they were rolled up."""
        records = await self._tx.connection.fetch("select hour from dirty_hour where source = $1", source)
        return sorted(to_hour(record[0]) for record in records)

    async def clean(self, source: int) -> None:
        """Forget that hours of a source changed."""
        await self._tx.execute("delete from dirty_hour where source = $1", source)

    async def longest_dirty(self, *, at_least: timedelta, limit: int) -> list[int]:
        """List sources with hours that changed a while ago, the longest first."""
        records = await self._tx.connection.fetch(
            """
            select source from dirty_hour where since <= now() - $1::interval
             group by source order by min(since) limit $2
            """,
            *(at_least, limit),
        )
        return [record[0] for record in records]
