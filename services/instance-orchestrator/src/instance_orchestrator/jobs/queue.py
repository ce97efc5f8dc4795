"""A queue of instances: each is in it once, and worked on by one at a time."""

import asyncio
import random

FIRST_PAUSE_S, MAX_PAUSE_S = 0.2, 30.0


class WorkQueue:
    """Ids to work on.

    An id that is added while it is worked on comes again afterwards. One whose work failed comes again after a pause
    that doubles with every failure in a row.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, None] = {}
        self._busy: set[int] = set()
        self._failures: dict[int, int] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._filled = asyncio.Event()

    def add(self, *ids: int) -> None:
        """Ask for work on instances."""
        for one in ids:
            self._waiting.setdefault(one)
        self._filled.set()

    async def take(self) -> int:
        """Wait for an instance that nobody works on; the taker calls `done` or `failed`."""
        while True:
            for one in self._waiting:
                if one not in self._busy:
                    del self._waiting[one]
                    self._busy.add(one)
                    return one
            self._filled.clear()
            await self._filled.wait()

    def done(self, one: int) -> None:
        """Say that the work succeeded."""
        self._failures.pop(one, None)
        self._release(one)

    def failed(self, one: int) -> float:
        """Say that the work is to be tried again; returns after how many seconds it will be."""
        count = self._failures[one] = self._failures.get(one, 0) + 1
        pause: float = min(FIRST_PAUSE_S * 2.0 ** min(count - 1, 10), MAX_PAUSE_S) * random.uniform(0.7, 1.0)  # noqa: S311 - jitter
        if (timer := self._timers.pop(one, None)) is not None:
            timer.cancel()
        self._timers[one] = asyncio.get_running_loop().call_later(pause, self._again, one)
        self._release(one)
        return pause

    def is_trying_again(self, one: int) -> bool:
        """Tell whether the last work on an instance failed: it waits for its pause, whatever else asks."""
        return one in self._timers

    def close(self) -> None:
        """Forget everything."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _again(self, one: int) -> None:
        self._timers.pop(one, None)
        self.add(one)

    def _release(self, one: int) -> None:
        self._busy.discard(one)
        self._filled.set()
