"""Leases: one holder at a time, and nobody acts who is not it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
import pytest_asyncio

from shoal.database import Database, DatabaseUnavailableError
from shoal.installation import Installation, as_role
from shoal.leases import HELD, Lease, LeaseLostError, Leases
from shoal_embedded.postgres import EmbeddedPostgres

from .conftest import Freezer
from .toy import TOY, at_work, until

SHORT = timedelta(milliseconds=300)


@pytest.fixture
def make(database: Database) -> Callable[[str], Leases]:
    return lambda owner: Leases(database, owner=owner, ttl=SHORT)


class Worker:
    """Counts its turns while it holds the lease."""

    at_once = 0
    max_at_once = 0

    def __init__(self, leases: Leases) -> None:
        self.leases = leases
        self.turns = 0
        self.epochs: list[int] = []

    async def run(self) -> None:
        await self.leases.act_alone("work", self.act)

    async def act(self, lease: Lease) -> None:
        self.epochs.append(lease.epoch)
        type(self).at_once += 1
        type(self).max_at_once = max(type(self).max_at_once, type(self).at_once)
        try:
            while True:
                self.turns += 1
                await asyncio.sleep(0.01)
        finally:
            type(self).at_once -= 1


@pytest.fixture(autouse=True)
def nobody_at_work() -> None:
    Worker.at_once = Worker.max_at_once = 0


async def expire(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute("update lease set expires_at = now() - interval '1 s'")


async def test_one_of_five_takes_it(make: Callable[[str], Leases]) -> None:
    taken = await asyncio.gather(*(make(f"owner {number}").take("key") for number in range(5)))
    assert sorted(lease.epoch for lease in taken if lease) == [1]


async def test_keys_do_not_stand_in_each_others_way(make: Callable[[str], Leases]) -> None:
    assert await make("a").take("one") == Lease("one", 1)
    assert await make("b").take("other") == Lease("other", 1)


async def test_expired_lease_is_taken_over_with_a_new_epoch(make: Callable[[str], Leases], database: Database) -> None:
    old = await make("a").take("key")
    assert await make("b").take("key") is None
    await expire(database)
    assert await make("b").take("key") == Lease("key", 2)
    assert old is not None
    with pytest.raises(LeaseLostError):
        await make("a").renew(old)


async def test_expired_lease_cannot_be_renewed_even_if_nobody_took_it(
    make: Callable[[str], Leases], database: Database
) -> None:
    lease = await make("a").take("key")
    assert lease is not None
    await make("a").renew(lease)
    await expire(database)
    with pytest.raises(LeaseLostError):
        await make("a").renew(lease)


async def test_lease_given_up_is_free_at_once(make: Callable[[str], Leases]) -> None:
    lease = await make("a").take("key")
    assert lease is not None
    await make("a").give_up(lease)
    assert await make("b").take("key") == Lease("key", 2)


async def test_giving_up_an_old_epoch_takes_nothing_from_the_new_holder(
    make: Callable[[str], Leases], database: Database
) -> None:
    old = await make("a").take("key")
    await expire(database)
    new = await make("b").take("key")
    assert old is not None
    assert new is not None
    await make("a").give_up(old)
    await make("b").renew(new)


async def test_owner_takes_its_own_again_and_ends_what_it_had_begun(make: Callable[[str], Leases]) -> None:
    first = await make("a").take("key")
    second = await make("a").take("key")
    assert second == Lease("key", 2)
    assert first is not None
    with pytest.raises(LeaseLostError):
        await make("a").renew(first)


async def test_paused_holder_that_wakes_up_writes_nothing(make: Callable[[str], Leases], database: Database) -> None:
    leases = make("a")
    old = await leases.take("key")
    assert old is not None
    await expire(database)
    async with database.transaction() as tx:
        written = await tx.execute(f"insert into note (id, body) select '1', 'stale' where {HELD}", old.key, old.epoch)
    assert written == 0
    await make("b").take("key")
    with pytest.raises(LeaseLostError):
        async with database.transaction() as tx:
            await leases.held(tx, old)


async def test_lease_stands_until_the_commit_that_relied_on_it(
    make: Callable[[str], Leases], database: Database
) -> None:
    leases = make("a")
    lease = await leases.take("key")
    assert lease is not None
    async with database.transaction() as tx:
        await leases.held(tx, lease)
        await asyncio.sleep(SHORT.total_seconds() * 1.2)  # it runs out meanwhile
        taking = asyncio.create_task(make("b").take("key"))
        done, _ = await asyncio.wait([taking], timeout=0.1)
        assert not done
    assert (await taking) == Lease("key", 2)


async def test_one_of_five_acts_and_the_next_one_follows(make: Callable[[str], Leases]) -> None:
    workers = [Worker(make(f"owner {number}")) for number in range(5)]
    tasks = {worker: asyncio.create_task(worker.run()) for worker in workers}
    for _ in range(3):
        await until(lambda: any(worker.turns for worker in tasks))
        (acting,) = (worker for worker in tasks if worker.turns)
        stopped = time.monotonic()
        task = tasks.pop(acting)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: any(worker.turns for worker in tasks))
        assert time.monotonic() - stopped < SHORT.total_seconds()  # handed over, not waited for
    assert Worker.max_at_once == 1
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


async def test_holder_that_dies_is_followed_when_its_term_is_over(
    make: Callable[[str], Leases], monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, heir = make("dead"), Worker(make("heir"))
    await dead.take("work")
    started = time.monotonic()
    async with at_work(heir.run()):
        await until(lambda: heir.turns)
        assert SHORT.total_seconds() * 0.8 < time.monotonic() - started < SHORT.total_seconds() * 3
        assert heir.epochs == [2]


async def test_work_goes_on_for_many_terms(make: Callable[[str], Leases]) -> None:
    worker = Worker(make("a"))
    async with at_work(worker.run()):
        await asyncio.sleep(SHORT.total_seconds() * 4)
        assert worker.epochs == [1]


async def test_work_ends_when_the_lease_is_lost(make: Callable[[str], Leases], database: Database) -> None:
    worker = Worker(make("a"))
    async with at_work(worker.run()):
        await until(lambda: worker.turns)
        async with database.transaction() as tx:
            await tx.execute("update lease set owner = 'thief', epoch = epoch + 1, expires_at = now() + interval '1 h'")
        await until(lambda: Worker.at_once == 0)
        assert worker.epochs == [1]


async def test_work_that_fails_is_begun_again(make: Callable[[str], Leases]) -> None:
    epochs: list[int] = []

    async def fail(lease: Lease) -> None:
        epochs.append(lease.epoch)
        raise KeyError

    async with at_work(make("a").act_alone("work", fail)):
        await until(lambda: len(epochs) >= 3)
    assert epochs[:3] == [1, 2, 3]


async def test_work_that_cancels_itself_is_begun_again(make: Callable[[str], Leases]) -> None:
    epochs: list[int] = []

    async def give_in(lease: Lease) -> None:
        epochs.append(lease.epoch)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(1)

    async with at_work(make("a").act_alone("work", give_in)):
        await until(lambda: len(epochs) >= 2)


async def test_cancelling_at_any_moment_ends_it_and_frees_the_lease(make: Callable[[str], Leases]) -> None:
    """Above all while the lease is being given up after a failure."""

    async def fail(_: Lease) -> None:
        await asyncio.sleep(0.001)
        raise KeyError

    for moment in range(30):
        task = asyncio.create_task(make("a").act_alone("work", fail))
        await asyncio.sleep(moment / 3000)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=2)
        assert done, f"went on after being cancelled at {moment}"
        assert task.cancelled()


# a server that freezes


@pytest_asyncio.fixture(loop_scope="module")
async def shaky(own_postgres: EmbeddedPostgres, credentials: Installation) -> AsyncIterator[Database]:
    working = as_role(own_postgres.url, "toy", credentials.services["toy"].database_password)
    await TOY.schema.migrate(own_postgres.url, working_url=working)
    made = Database(working, schema="toy", command_timeout_s=0.3)
    yield made
    await made.close()


@pytest.mark.fault
@pytest.mark.asyncio(loop_scope="module")
async def test_holder_cut_off_from_the_database_stops_by_the_end_of_its_term_and_comes_back(
    shaky: Database, freezer: Freezer
) -> None:
    worker = Worker(Leases(shaky, owner="a", ttl=timedelta(seconds=1)))
    async with at_work(worker.run()):
        await until(lambda: worker.turns)
        freezer.freeze()
        frozen = time.monotonic()
        await until(lambda: Worker.at_once == 0)
        assert time.monotonic() - frozen < 2
        freezer.thaw()
        await until(lambda: Worker.at_once == 1)
        assert Worker.max_at_once == 1


@pytest.mark.fault
@pytest.mark.asyncio(loop_scope="module")
async def test_holder_stops_when_asked_though_the_database_is_frozen(shaky: Database, freezer: Freezer) -> None:
    worker = Worker(Leases(shaky, owner="b"))
    async with shaky.transaction() as tx:
        await tx.execute("delete from lease")
    task = asyncio.create_task(worker.run())
    await until(lambda: worker.turns)
    freezer.freeze()
    started = time.monotonic()
    task.cancel()
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()
    assert time.monotonic() - started < 4
    freezer.thaw()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: _reachable(shaky))


async def _reachable(database: Database) -> bool:
    try:
        await database.ping()
    except DatabaseUnavailableError:
        return False
    return True
