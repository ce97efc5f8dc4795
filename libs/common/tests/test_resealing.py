"""Sealing anew: everything under the current key, nothing lost, and what does not open left as it is."""

from collections.abc import AsyncIterator, Mapping

import asyncpg
import pytest_asyncio
from structlog.testing import capture_logs

from shoal.crypto import Envelope
from shoal.database import Database
from shoal.resealing import Resealing, SealedColumn

OLD = Envelope({"k1": b"a" * 32}, current="k1")
BOTH = Envelope({"k1": b"a" * 32, "k2": b"b" * 32}, current="k2")
NEW = Envelope({"k2": b"b" * 32}, current="k2")
LOST = Envelope({"k0": b"c" * 32}, current="k0")
NOTES = SealedColumn("note", "body", "toy/note/{id}")


@pytest_asyncio.fixture
async def notes(admin_url: str, database: Database) -> AsyncIterator[Database]:
    """The toy's table of notes, sealed."""
    connection = await asyncpg.connect(admin_url)
    await connection.execute("alter table toy.note drop constraint note_body_short")
    await connection.execute("alter table toy.note alter body drop default, alter body type bytea using body::bytea")
    await connection.close()
    yield database


async def fill(database: Database, envelope: Envelope, *names: str) -> None:
    async with database.transaction() as tx:
        for name in names:
            sealed = envelope.seal(name.encode(), place=f"toy/note/{name}")
            await tx.execute("insert into note (id, body) values ($1, $2)", name, sealed)


async def opened(database: Database, envelope: Envelope) -> Mapping[str, str]:
    async with database.reading() as tx:
        rows = await tx.connection.fetch("select id, body from note where id <> 'lost'")
    return {row["id"]: envelope.open(row["body"], place=f"toy/note/{row['id']}").decode() for row in rows}


async def test_older_key_may_go_once_all_is_sealed_anew(notes: Database) -> None:
    names = [f"old {number}" for number in range(250)]
    await fill(notes, OLD, *names)
    await fill(notes, BOTH, "new")
    resealing = Resealing(notes, BOTH, [NOTES])
    with capture_logs() as logs:
        await resealing.seal_anew()
        await resealing.seal_anew()
    assert await opened(notes, NEW) == {name: name for name in [*names, "new"]}
    assert [(line["event"], line["key"], line["anew"]) for line in logs] == [("sealed_under_one_key", "k2", 250)]


async def test_what_does_not_open_is_told_of_and_left(notes: Database) -> None:
    await fill(notes, LOST, "lost")
    await fill(notes, OLD, "old")
    with capture_logs() as logs:
        await Resealing(notes, BOTH, [NOTES]).seal_anew()
    assert [(line["event"], line["columns"]) for line in logs] == [("secrets_do_not_open", {"note.body": 1})]
    assert await opened(notes, NEW) == {"old": "old"}
    async with notes.reading() as tx:
        body = await tx.value("select body from note where id = 'lost'")
    assert LOST.open(body, place="toy/note/lost") == b"lost"


async def test_value_that_was_changed_meanwhile_stays_changed(notes: Database) -> None:
    await fill(notes, OLD, "note")
    async with notes.reading() as tx:
        before = await tx.value("select body from note")
    anew = BOTH.seal(b"changed", place="toy/note/note")
    async with notes.transaction() as tx:
        await tx.execute("update note set body = $1", anew)
        assert await tx.execute(NOTES.change, before, BOTH.seal(b"note", place="toy/note/note")) == 0
    await Resealing(notes, BOTH, [NOTES]).seal_anew()
    assert await opened(notes, NEW) == {"note": "changed"}
