"""Copies: complete before they are used, the same whatever comes first, and refreshed before facts are forgotten."""

import asyncio
import itertools
from typing import Any

import pytest

from shoal.copies import PAGE, Copier, Copy, ExportedFact, Sweep, exported
from shoal.database import Database, Transaction
from shoal.http.pagination import Page
from shoal.peers import PeerUnavailableError
from shoal_events import Event, PairingDeleted, PairingRenamed

from .toy import Note, at_work, renamed, until


async def take(tx: Transaction, fact: PairingRenamed) -> None:
    await tx.execute(
        """
        insert into note (id, body, version) values ($1, $2, $3)
            on conflict (id) do update set body = excluded.body, version = excluded.version
         where note.version < excluded.version
        """,
        *(fact.pairing_id, fact.name, fact.version),
    )


async def take_deletion(tx: Transaction, fact: PairingDeleted) -> None:
    await tx.execute(
        """
        insert into note (id, body, version) values ($1, '(deleted)', $2)
            on conflict (id) do update set body = excluded.body, version = excluded.version
         where note.version < excluded.version
        """,
        *(fact.pairing_id, fact.version),
    )


HANDLERS = {PairingRenamed: take, PairingDeleted: take_deletion}
NAMES = Copy("names", owner="pairing", handlers=HANDLERS)


class Owner:
    """Answers exports; stands where the owner's door would."""

    def __init__(self, *facts: Event) -> None:
        self.facts = list(facts)
        self.asked: list[str] = []
        self.is_away = False

    async def get(self, service: str, path: str, answer: type[Any], **query: str | int) -> Page[ExportedFact]:
        self.asked.append(str(query["after"]))
        if self.is_away:
            raise PeerUnavailableError
        assert (service, path, answer) == ("pairing", "/internal/export", Page[ExportedFact])
        start, limit = int(query["after"] or 0), 2
        items = [exported(fact) for fact in self.facts[start : start + limit]]
        return Page(items, next=str(start + limit) if start + limit < len(self.facts) else None)


def copier(database: Database, owner: Owner, copy: Copy = NAMES) -> Copier:
    return Copier(copy, database=database, peers=owner)  # type: ignore[arg-type]


async def notes(database: Database) -> dict[str, tuple[str, int]]:
    async with database.reading() as reading:
        return {note.id: (note.body, note.version) for note in await reading.all(Note, "select * from note")}


async def test_export_is_read_to_its_end_before_the_copy_is_complete(database: Database) -> None:
    owner = Owner(*(renamed(f"pair_{number}", "x", 1) for number in range(5)))
    made = copier(database, owner)
    assert made.problem() == "pairing's names are not all here yet"
    async with at_work(made.run()):
        await until(lambda: made.problem() is None)
    assert owner.asked == ["", "2", "4"]
    assert len(await notes(database)) == 5


async def test_copy_is_not_complete_while_the_owner_is_away(database: Database) -> None:
    owner = Owner(renamed())
    owner.is_away = True
    made = copier(database, owner)
    async with at_work(made.run()):
        await until(lambda: len(owner.asked) >= 2)
        assert made.problem() is not None
        owner.is_away = False
        await until(lambda: made.problem() is None)


async def test_copy_that_is_not_required_never_is_a_problem(database: Database) -> None:
    made = copier(database, Owner(), Copy("names", owner="pairing", handlers={}, is_required=False))
    assert made.problem() is None


async def test_complete_copy_is_not_read_again_until_it_is_stale(database: Database) -> None:
    first, again, later = Owner(renamed()), Owner(), Owner(renamed(version=2))
    for owner in (first, again):
        made = copier(database, owner)
        async with at_work(made.run()):
            await until(lambda made=made: made.problem() is None)
    assert (len(first.asked), len(again.asked)) == (1, 0)
    async with database.transaction() as tx:
        await tx.execute("update copy_state set completed_at = now() - interval '4 days'")
    made = copier(database, later)
    async with at_work(made.run()):
        await until(lambda: made.problem() is None)
    assert await notes(database) == {"pair_1": ("x", 2)}


async def test_export_that_breaks_off_leaves_the_copy_incomplete(database: Database) -> None:
    owner = Owner(*(renamed(f"pair_{number}", "x", 1) for number in range(3)))
    owner.facts[2] = "no fact"  # type: ignore[call-overload]
    made = copier(database, owner)
    with pytest.raises(AttributeError):
        await asyncio.wait_for(made.run(), 5)
    assert made.problem() is not None
    async with database.reading() as reading:
        assert await reading.value("select count(*) from copy_state where completed_at is not null") == 0


async def test_unknown_facts_in_an_export_are_passed_over(database: Database) -> None:
    owner = Owner(renamed())
    made = copier(database, owner, Copy("names", owner="pairing", handlers={PairingDeleted: take_deletion}))
    async with at_work(made.run()):
        await until(lambda: made.problem() is None)
    assert await notes(database) == {}


async def known(database: Transaction) -> list[str]:
    return await database.all(str, "select id from note where body <> '(deleted)'")


async def forget(tx: Transaction, pairing_id: str) -> None:
    await tx.execute("delete from note where id = $1", pairing_id)


SWEPT = Copy("names", owner="pairing", handlers=HANDLERS, sweep=Sweep(known, lambda fact: fact.pairing_id, forget))


async def outdated(database: Database, owner: Owner) -> Copier:
    """Make a copier that must read its export again."""
    async with database.transaction() as tx:
        await tx.execute("delete from copy_state")
    return copier(database, owner, SWEPT)


async def read(database: Database, owner: Owner) -> None:
    made = await outdated(database, owner)
    async with at_work(made.run()):
        await until(lambda: made.problem() is None)


async def test_rows_that_the_owner_has_no_longer_are_swept(database: Database) -> None:
    await read(database, Owner(*(renamed(f"pair_{number}", "x", 1) for number in range(5))))
    assert len(await notes(database)) == 5
    await read(database, Owner(renamed("pair_1", "x", 2), deleted("pair_4", 2)))
    assert await notes(database) == {"pair_1": ("x", 2), "pair_4": ("(deleted)", 2)}


async def test_row_that_came_while_the_export_was_read_is_not_swept(database: Database) -> None:
    class Busy(Owner):
        async def get(self, *place: Any, **query: Any) -> Page[ExportedFact]:
            page = await super().get(*place, **query)
            async with database.transaction() as tx:
                await take(tx, renamed("pair_new", "new", 1))
            return page

    await read(database, Busy(renamed("pair_1"), renamed("pair_2"), renamed("pair_3")))
    assert "pair_new" in await notes(database)


async def test_owner_without_anything_sweeps_nothing(database: Database) -> None:
    await read(database, Owner(renamed("pair_1", "x", 1)))
    await read(database, Owner())
    assert await notes(database) == {"pair_1": ("x", 1)}


async def test_export_that_breaks_off_sweeps_nothing(database: Database) -> None:
    await read(database, Owner(renamed("pair_1", "x", 1), renamed("pair_2"), renamed("pair_3")))
    owner = Owner(renamed("pair_1"), renamed("pair_2"), renamed("pair_9"))
    owner.facts[2] = "no fact"  # type: ignore[call-overload]
    made = await outdated(database, owner)
    with pytest.raises(AttributeError):
        await asyncio.wait_for(made.run(), 5)
    assert len(await notes(database)) == 3


def deleted(pairing_id: str, version: int) -> PairingDeleted:
    return PairingDeleted(pairing_id=pairing_id, account_id="acct_1", reason="deleted", version=version)


async def test_export_and_events_in_any_order_give_the_same(database: Database) -> None:
    """The export told version 2; facts of versions 1, 3 and the deletion 4 come before, between or after."""
    for order in itertools.permutations(range(4)):
        pairing_id = "pair_" + "".join(map(str, order))
        told = [renamed(pairing_id, "x", version) for version in (1, 2, 3)]
        for index in order:
            fact = [*told, deleted(pairing_id, 4)][index]
            if index == 1:
                async with database.transaction() as tx:
                    await tx.execute("delete from copy_state")
                made = copier(database, Owner(fact))
                async with at_work(made.run()):
                    await until(lambda made=made: made.problem() is None)
            else:
                async with database.transaction() as tx:
                    await HANDLERS[type(fact)](tx, fact)
    found = await notes(database)
    assert len(found) == 24
    assert set(found.values()) == {("(deleted)", 4)}


def test_pages_are_within_what_an_owner_answers() -> None:
    assert PAGE <= 1000
