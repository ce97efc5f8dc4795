"""How fast to send and how soon to come back."""

import asyncio
import random
import time
from collections.abc import Callable

QUICK_S = 60.0
"""So long after a connection was lost, tries stay at most two seconds apart."""


class Backoff:
    """Full jitter: a random delay below a ceiling that doubles from 0.2 s.

    A server that restarts should find its agents back within 3 s, so for the first minute the ceiling stops
    at 2 s; after that, and at once for a server that says it is busy, it rises to 30 s.
    """

    def __init__(
        self,
        *,
        first_s: float = 0.2,
        quick_s: float = 2.0,
        ceiling_s: float = 30.0,
        now: Callable[[], float] = time.monotonic,
        random_below: Callable[[float], float] = lambda ceiling: random.uniform(0, ceiling),  # noqa: S311
    ) -> None:
        self._first_s, self._quick_s, self._ceiling_s = first_s, quick_s, ceiling_s
        self._now, self._random_below = now, random_below
        self._lost_at: float | None = None
        self.attempts = 0

    def reset(self) -> None:
        """The connection works."""
        self._lost_at, self.attempts = None, 0

    def delay(self, *, is_busy: bool = False) -> float:
        """Return how many seconds to wait before the next try.

        Args:
            is_busy: The server asked to be left alone for a while.
        """
        now = self._now()
        self._lost_at = now if self._lost_at is None else self._lost_at
        is_quick = not is_busy and now - self._lost_at < QUICK_S
        ceiling = min(self._first_s * 2 ** min(self.attempts, 20), self._quick_s if is_quick else self._ceiling_s)
        self.attempts += 1
        return self._random_below(ceiling)


class Pace:
    """At most `rate` items a second, at most a tenth of that at once.

    With a burst that small, no window of one second ever holds more than 1.1 x `rate` items.
    """

    def __init__(self, rate: float, *, now: Callable[[], float] = time.monotonic) -> None:
        self._rate = max(rate, 1.0)
        self.burst = max(1, int(self._rate / 10))
        self._now = now
        self._free_at = now() - self.burst / self._rate

    async def take(self, items: int) -> None:
        """Wait until so many items, at most `burst`, may be sent."""
        now = self._now()
        start = max(self._free_at, now - self.burst / self._rate)
        self._free_at = start + items / self._rate
        if (wait := self._free_at - now) > 0:
            await asyncio.sleep(wait)
