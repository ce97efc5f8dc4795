"""What was read of late: given again for a second, and never past a change of this process."""

import asyncio
import weakref

import pytest

from agent_runtime.recent import Recent
from shoal.clock import SystemClock


class Clock(SystemClock):
    """A clock that is set by hand."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


class Shelf:
    """Something that is read, and how often it was."""

    def __init__(self) -> None:
        self.value, self.reads = "first", 0
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def read(self) -> str:
        self.reads += 1
        value = self.value
        await self.may_end.wait()
        return value


async def test_what_was_read_is_given_again_for_a_second() -> None:
    clock, shelf = Clock(), Shelf()
    recent = Recent(clock)
    assert await recent.get("key", shelf.read) == "first"
    shelf.value, clock.seconds = "second", 0.9
    assert await recent.get("key", shelf.read) == "first"
    clock.seconds = 1.0
    assert await recent.get("key", shelf.read) == "second"
    assert shelf.reads == 2


async def test_a_change_is_seen_at_once_and_what_was_read_meanwhile_is_not_kept() -> None:
    shelf = Shelf()
    recent = Recent(Clock())
    shelf.may_end.clear()
    reading = asyncio.ensure_future(recent.get("key", shelf.read))
    await asyncio.sleep(0)
    shelf.value = "second"
    await recent.forget()
    shelf.may_end.set()
    assert await reading == "first"
    assert await recent.get("key", shelf.read) == "second"


async def test_keys_are_apart_and_nothing_is_kept_of_a_failure() -> None:
    shelf = Shelf()
    recent = Recent(Clock())

    async def fail() -> str:
        raise KeyError

    for key in ("one", "two"):
        with pytest.raises(KeyError):
            await recent.get(key, fail)
        shelf.value = key
        assert await recent.get(key, shelf.read) == key


async def test_what_many_asked_for_is_not_kept_for_all_of_them() -> None:
    recent, shelf = Recent(Clock()), Shelf()
    for key in (*range(3000), 0):
        await recent.get(key, shelf.read)
    assert shelf.reads == 3001


async def test_what_is_old_is_not_held_on_to() -> None:
    class Secret:
        """Something that had better be forgotten."""

    clock = Clock()
    recent = Recent(clock)

    async def secret() -> Secret:
        return Secret()

    async def other() -> int:
        return 1

    held = weakref.ref(await recent.get("secret", secret))
    assert held() is not None
    clock.seconds = 2
    await recent.get("other", other)
    assert held() is None
