"""SQL of memory, and nothing else."""

from collections.abc import Sequence
from typing import Any

from agent_runtime.memory.domain import Candidate, Entry, Evidence, Meaning, Query, fold
from shoal.database import Transaction

_MAX_CANDIDATES = 200
_CANDIDATES = """
    with exact as (
        select key
          from memory
         where account_id = $1 and text @@ plainto_tsquery('english', $2)
         union
        select key
          from memory
         where account_id = $1 and strpos(haystack, $2) > 0
    ), alike as (
        select key
          from memory
         where account_id = $1 and left(haystack, 1000) operator(public.%>) any ($4::text[])
    ), meant as (
        select key, (select sum(ours * asked) from unnest(meaning, $7::real[]) as pair (ours, asked)) as cosine
          from memory
         where account_id = $1 and meant_by = $6 and $6 <> '' and ($3 = '' or namespace = $3)
         order by cosine desc nulls last
         limit $5
    ), candidate as (
        select m.key, m.value, m.namespace, m.tags, m.updated_at, m.haystack, m.text, meant.cosine
          from memory as m
          left join meant on meant.key = m.key
         where m.account_id = $1
           and ($3 = '' or m.namespace = $3)
           and (m.key in (select key from exact) or m.key in (select key from alike) or meant.key is not null)
         order by m.key in (select key from exact) desc, meant.cosine desc nulls last, m.updated_at desc
         limit $5
    )
    select c.key, c.value, c.namespace, c.tags, c.updated_at, c.cosine,
           array(select public.word_similarity(asked.word, left(c.haystack, 1000))
                   from unnest($4::text[]) with ordinality as asked (word, place)
                  order by asked.place) as alike,
           c.text @@ plainto_tsquery('english', $2) as has_all_stems
      from candidate as c
    """
"""Entries that may be what was asked for, each with what speaks for it.

$1 account, $2 the whole text, $3 namespace ('' for all), $4 its words, $5 how many at most, $6 and $7 which model tells
meanings ('' for none) and what it tells of the text. `exact` are full-text and plain matches, `alike` those by
trigrams, `meant` the nearest in meaning.
"""


class MemoryRepository:
    """Rows of `memory`: one per account and key."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def put(
        self, account_id: str, key: str, value: str, namespace: str, tags: Sequence[str], meaning: Meaning | None = None
    ) -> Entry:
        """Keep an entry in place of what stands under its key."""
        entry = await self._tx.find(
            Entry,
            """
            insert into memory (account_id, key, value, namespace, tags, haystack, text, meant_by, meaning)
            values ($1, $2, $3, $4, $5, $6, to_tsvector('english', $6), $7, $8)
                on conflict (account_id, key) do update
               set value = excluded.value, namespace = excluded.namespace, tags = excluded.tags,
                   haystack = excluded.haystack, text = excluded.text, meant_by = excluded.meant_by,
                   meaning = excluded.meaning, updated_at = now()
            returning key, value, namespace, tags, updated_at
            """,
            *(account_id, key, value, namespace, list(tags), " ".join(map(fold, (key, *tags, value)))),
            *(("", None) if meaning is None else (meaning.model, list(meaning.vector))),
        )
        assert entry is not None  # noqa: S101 - an upsert returns its row
        return entry

    async def count(self, account_id: str) -> int:
        """Count an account's entries."""
        return int(await self._tx.value("select count(*) from memory where account_id = $1", account_id))

    async def find(self, account_id: str, key: str) -> Entry | None:
        """Read one entry."""
        return await self._tx.find(
            Entry,
            "select key, value, namespace, tags, updated_at from memory where account_id = $1 and key = $2",
            *(account_id, key),
        )

    async def page(self, account_id: str, *, namespace: str, tag: str, limit: int, offset: int) -> list[Entry]:
        """List entries, the newest first."""
        return await self._tx.all(
            Entry,
            """
            select key, value, namespace, tags, updated_at
              from memory
             where account_id = $1
               and ($2 = '' or namespace = $2)
               and ($3 = '' or $3 = any (tags))
             order by updated_at desc, key
             limit $4 offset $5
            """,
            *(account_id, namespace, tag, limit, offset),
        )

    async def candidates(
        self, account_id: str, query: Query, *, namespace: str, meaning: Meaning | None = None
    ) -> list[Candidate]:
        """Find what full-text search, trigrams, plain comparison or meanings take for a match.

        Of too many the exact ones come first, then the nearest in meaning, then the newest.
        """
        rows = await self._tx.connection.fetch(
            _CANDIDATES,
            *(account_id, query.text, namespace, list(query.words), _MAX_CANDIDATES),
            *(("", None) if meaning is None else (meaning.model, list(meaning.vector))),
        )
        return [_candidate(row) for row in rows]

    async def delete(self, account_id: str, key: str) -> bool:
        """Forget an entry; whether there was one."""
        return bool(await self._tx.execute("delete from memory where account_id = $1 and key = $2", account_id, key))

    async def erase(self, account_id: str) -> None:
        """Delete what an account remembers."""
        await self._tx.execute("delete from memory where account_id = $1", account_id)


def _candidate(row: Any) -> Candidate:
    key, value, namespace, tags, updated_at, cosine, alike, has_all_stems = row
    entry = Entry(key=key, value=value, namespace=namespace, tags=tags, updated_at=updated_at)
    return Candidate(entry, Evidence(tuple(alike), has_all_stems, cosine))
