"""Deadlines, translations, and what a transaction promises."""
# ruff: noqa: PT012 - what is expected to raise is the transaction, and it has a block

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from shoal.database import Database, DatabaseUnavailableError, Transaction, UnstorableValueError, violation_as
from shoal.errors import ConflictError
from shoal_embedded.postgres import EmbeddedPostgres

from .conftest import Freezer
from .toy import Note, until


class TakenError(ConflictError):
    """That note exists."""

    code = "taken"


async def add(database: Database, note_id: str = "1", body: str = "") -> None:
    async with database.transaction() as tx:
        await tx.execute("insert into note (id, body) values ($1, $2)", note_id, body)


async def count(database: Database) -> int:
    async with database.reading() as reading:
        return int(await reading.value("select count(*) from note"))


async def test_rows_come_as_structs_and_scalars(database: Database) -> None:
    await add(database, "1", "one")
    await add(database, "2", "two")
    async with database.reading() as reading:
        assert await reading.find(Note, "select * from note where id = $1", "1") == Note("1", "one")
        assert await reading.find(Note, "select * from note where id = $1", "3") is None
        assert await reading.all(Note, "select id, body from note order by id") == [Note("1", "one"), Note("2", "two")]
        assert await reading.all(str, "select body from note order by id") == ["one", "two"]
        assert await reading.find(Decimal, "select 1.50::numeric") == Decimal("1.50")
        assert await reading.value("select body from note where id = '3'") is None


async def test_giving_a_connection_back_asks_nothing_of_the_server(working_url: str) -> None:
    asked: list[str] = []
    database = Database(working_url, schema="toy", pool_size=1)
    async with database.reading() as reading:
        await reading.value("select 1")
        reading.connection.add_query_logger(lambda query: asked.append(query.query))
    async with database.reading() as reading:
        await reading.value("select 2")
    await database.close()
    assert asked == ["select 2"]


async def test_execute_tells_how_many_rows_it_touched(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute_many("insert into note (id) values ($1)", [("1",), ("2",)])
        assert await tx.execute("update note set body = 'x'") == 2
        assert await tx.execute("delete from note where id = '3'") == 0


async def test_jsonb_goes_in_and_comes_out_as_values(database: Database) -> None:
    async with database.reading() as reading:
        assert await reading.value("select $1::jsonb", {"a": [1, None, "ä"]}) == {"a": [1, None, "ä"]}


async def test_raising_block_rolls_back_and_its_error_passes(database: Database) -> None:
    with pytest.raises(KeyError):
        async with database.transaction() as tx:
            await tx.execute("insert into note (id) values ('1')")
            raise KeyError
    assert await count(database) == 0


async def test_cancelled_block_rolls_back_and_frees_its_connection(working_url: str) -> None:
    database = Database(working_url, schema="toy", pool_size=1)
    started = asyncio.Event()

    async def work() -> None:
        async with database.transaction() as tx:
            await tx.execute("insert into note (id) values ('1')")
            started.set()
            await tx.value("select pg_sleep(30)")

    task = asyncio.create_task(work())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await count(database) == 0
    await database.close()


@pytest.mark.parametrize("error", [TimeoutError, OSError, ConnectionResetError])
async def test_blocks_own_timeout_is_not_taken_for_the_databases(database: Database, error: type[Exception]) -> None:
    with pytest.raises(error):
        async with database.transaction():
            raise error
    with pytest.raises(error):
        async with database.reading():
            raise error


async def test_after_commit_is_done_once_the_commit_stands(database: Database) -> None:
    seen: list[int] = []

    async def look() -> None:
        seen.append(await count(database))

    async with database.transaction() as tx:
        tx.after_commit(look)
        await tx.execute("insert into note (id) values ('1')")
        assert seen == []
    assert seen == [1]


async def test_after_commit_is_not_done_when_the_transaction_rolls_back(database: Database) -> None:
    done: list[str] = []

    async def note() -> None:
        done.append("done")

    with pytest.raises(KeyError):
        async with database.transaction() as tx:
            tx.after_commit(note)
            raise KeyError
    await add(database)
    with pytest.raises(asyncpg.UniqueViolationError):
        async with database.transaction() as tx:
            tx.after_commit(note)
            await tx.execute("insert into note (id) values ('1')")
    assert done == []


async def test_violation_of_a_named_constraint_becomes_its_refusal(database: Database) -> None:
    await add(database)
    with pytest.raises(TakenError):
        async with database.transaction() as tx:
            with violation_as(note_pkey=TakenError):
                await tx.execute("insert into note (id) values ('1')")
    with pytest.raises(asyncpg.CheckViolationError), violation_as(note_pkey=TakenError):
        await add(database, "2", "long" * 30)
    assert await count(database) == 1


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("insert into note (id) values ($1)", "a\x00b"),
        ("insert into note (id) values ($1)", "a\ud800b"),
        ("insert into note (id, version) values ('1', $1)", 2**31),
        ("insert into note (id, version) values ('1', $1::bigint)", 2**63),
        ("insert into note (id, body) values ('1', $1::uuid::text)", "not a uuid"),
    ],
)
async def test_value_that_cannot_be_stored_is_the_callers_mistake(database: Database, sql: str, value: object) -> None:
    with pytest.raises(UnstorableValueError):
        async with database.transaction() as tx:
            await tx.execute(sql, value)
    await add(database)


async def test_statement_with_wrong_arguments_is_our_fault_not_an_outage(database: Database) -> None:
    with pytest.raises(asyncpg.InterfaceError):
        async with database.transaction() as tx:
            await tx.value("select $1::int")
    await add(database)


async def test_read_only_transaction_writes_nothing(database: Database) -> None:
    with pytest.raises(DatabaseUnavailableError):
        async with database.transaction(read_only=True) as tx:
            await tx.execute("insert into note (id) values ('1')")
    assert await count(database) == 0


async def test_read_only_transaction_sees_one_moment(database: Database) -> None:
    async with database.transaction(read_only=True) as tx:
        assert await tx.value("select count(*) from note") == 0
        await add(database)
        assert await tx.value("select count(*) from note") == 0
    assert await count(database) == 1


async def test_deadlock_asks_to_try_again(database: Database) -> None:
    await add(database, "1")
    await add(database, "2")
    locked = asyncio.Barrier(2)

    async def lock(first: str, second: str) -> None:
        async with database.transaction() as tx:
            await tx.execute("update note set body = 'x' where id = $1", first)
            await locked.wait()
            await tx.execute("update note set body = 'x' where id = $1", second)

    outcomes = await asyncio.gather(lock("1", "2"), lock("2", "1"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome] == [DatabaseUnavailableError]


async def test_closed_database_is_unavailable(database: Database) -> None:
    await database.ping()
    await database.close()
    with pytest.raises(DatabaseUnavailableError):
        await database.ping()


async def test_nobody_listening_on_the_port_is_unavailable_at_once() -> None:
    database = Database("postgresql://nobody:secret@127.0.0.1:1/none", schema="toy")
    started = time.monotonic()
    with pytest.raises(DatabaseUnavailableError) as refused:
        await database.ping()
    assert time.monotonic() - started < 1
    assert (refused.value.status, refused.value.retry_after_s) == (503, 1)
    assert "secret" not in repr(refused.value)


async def test_first_connection_is_opened_once_whoever_comes_first(working_url: str) -> None:
    database = Database(working_url, schema="toy", pool_size=3)
    await asyncio.gather(*(database.ping() for _ in range(10)))
    await database.close()


async def test_all_connections_lent_means_unavailable_after_the_deadline(working_url: str) -> None:
    database = Database(working_url, schema="toy", pool_size=1, command_timeout_s=0.2)
    async with database.reading():
        with pytest.raises(DatabaseUnavailableError):
            await database.ping()
    await database.ping()
    await database.close()


async def test_connections_that_the_server_ended_cost_an_answer_at_most(database: Database, admin_url: str) -> None:
    """Its farewell may cross the next statement, in any state of the protocol."""
    admin = await asyncpg.connect(admin_url)
    for _ in range(10):
        await asyncio.gather(*(database.ping() for _ in range(3)))
        await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'toy'")
        for _ in range(4):
            with contextlib.suppress(DatabaseUnavailableError, asyncpg.UniqueViolationError):
                await add(database)

        async def back() -> bool:
            try:
                await asyncio.gather(*(database.ping() for _ in range(3)))
            except DatabaseUnavailableError:
                return False
            return True

        await until(back)
        async with database.transaction() as tx:
            await tx.execute("delete from note")
    await admin.close()


async def test_notification_wakes_who_listens(database: Database) -> None:
    woken = asyncio.Event()
    connection = await database.listen("bell", woken.set)
    async with database.transaction() as tx:
        await tx.execute("select pg_notify('bell', '')")
    async with asyncio.timeout(2):
        await woken.wait()
    await connection.close()


# a server that freezes or goes away


@pytest_asyncio.fixture(loop_scope="module")
async def shaky(own_postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    made = Database(own_postgres.url, schema="public", pool_size=3, command_timeout_s=0.4)
    await asyncio.gather(*(made.ping() for _ in range(3)))
    yield made
    await made.close()


async def in_transaction(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.value("select 1")


async def raw_statement(database: Database) -> None:
    async with database.reading() as reading:
        await reading.connection.fetch("select 1")


@pytest.mark.fault
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("act", [in_transaction, Database.ping, raw_statement])
async def test_frozen_server_is_unavailable_by_the_deadline_and_back_at_once(
    shaky: Database, freezer: Freezer, act: Callable[[Database], Awaitable[Any]]
) -> None:
    freezer.freeze()
    started = time.monotonic()
    outcomes = await asyncio.gather(*(act(shaky) for _ in range(6)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [DatabaseUnavailableError] * 6
    assert time.monotonic() - started < 1.5
    freezer.thaw()
    started = time.monotonic()
    await asyncio.gather(*(in_transaction(shaky) for _ in range(6)))
    assert time.monotonic() - started < 1


@pytest.mark.fault
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("act", [in_transaction, Database.ping])
async def test_frozen_server_is_known_within_three_seconds_whatever_statements_may_take(
    own_postgres: EmbeddedPostgres, freezer: Freezer, act: Callable[[Database], Awaitable[Any]]
) -> None:
    patient = Database(own_postgres.url, schema="public", pool_size=2, command_timeout_s=30)
    await asyncio.gather(*(patient.ping() for _ in range(2)))
    freezer.freeze()
    started = time.monotonic()
    outcomes = await asyncio.gather(*(act(patient) for _ in range(4)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [DatabaseUnavailableError] * 4
    assert time.monotonic() - started < 3
    freezer.thaw()
    await patient.ping()
    await patient.close()


@pytest.mark.fault
@pytest.mark.asyncio(loop_scope="module")
async def test_a_connection_whose_transaction_was_cancelled_while_it_began_is_not_lent_again(
    shaky: Database, freezer: Freezer, caplog: pytest.LogCaptureFixture
) -> None:
    freezer.freeze()
    beginning = asyncio.ensure_future(in_transaction(shaky))
    await asyncio.sleep(0.1)  # until it waits for an answer to `begin`
    beginning.cancel()
    freezer.thaw()
    with pytest.raises(asyncio.CancelledError):
        await beginning
    assert "active transaction" not in caplog.text
    await in_transaction(shaky)


async def test_slow_statement_is_not_taken_for_a_frozen_server(working_url: str) -> None:
    database = Database(working_url, schema="toy", pool_size=1)
    async with database.reading() as reading:
        assert await reading.value("select pg_sleep(1.4)::text") == ""
    await database.close()


@pytest.mark.fault
@pytest.mark.asyncio(loop_scope="module")
async def test_server_frozen_inside_a_transaction_hides_no_error_of_the_block(
    shaky: Database, freezer: Freezer
) -> None:
    started = time.monotonic()
    with pytest.raises(KeyError):
        async with shaky.transaction() as tx:
            await tx.value("select 1")
            freezer.freeze()
            raise KeyError
    assert time.monotonic() - started < 1.5
    freezer.thaw()
    await shaky.ping()


async def test_a_failed_statement_that_the_block_hides_is_no_commit(database: Database) -> None:
    with pytest.raises(RuntimeError, match="rolled back"):
        async with database.transaction() as tx:
            with contextlib.suppress(asyncpg.PostgresError):
                await tx.value("select 1 / 0")
    await database.ping()


@pytest.mark.fault
@pytest.mark.asyncio(loop_scope="module")
async def test_restarted_server_is_used_again_without_leaking_connections(
    shaky: Database, own_postgres: EmbeddedPostgres
) -> None:
    async def broken(tx: Transaction) -> None:
        await own_postgres.stop()
        await tx.value("select 1")

    with pytest.raises(DatabaseUnavailableError):
        async with shaky.transaction() as tx:
            await broken(tx)
    with pytest.raises(DatabaseUnavailableError):
        await shaky.ping()
    await own_postgres.start()

    async def back() -> bool:
        try:
            await asyncio.gather(*(in_transaction(shaky) for _ in range(6)))
        except DatabaseUnavailableError:
            return False
        return True

    await until(back)
