"""What was read a moment ago: for what every turn asks, and people change."""

from collections.abc import Awaitable, Callable, Hashable
from datetime import timedelta
from typing import Any, TypeVar

from shoal.clock import Clock

FRESH = timedelta(seconds=1)
"""How late other processes may learn of a change."""
_MAX_KEPT = 1024

T = TypeVar("T")


class Recent:
    """Keeps what was read until it is a second old, or something of its kind was changed in this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[Hashable, tuple[float, Any]] = {}
        self._changes = 0
        self._drop_at = 0.0

    async def get(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """Give what was read of late, or else read it."""
        now, changes = self._clock.monotonic(), self._changes
        until, value = self._kept.get(key, (now, None))
        if until > now:
            return value  # type: ignore[no-any-return]
        read_now = await read()
        if changes == self._changes:  # nothing was changed while it was read
            self._drop_old(now)
            self._kept[key] = now + FRESH.total_seconds(), read_now
        return read_now

    async def forget(self) -> None:
        """Have everything read anew: something was changed, and is committed."""
        self._changes += 1
        self._kept.clear()

    def _drop_old(self, now: float) -> None:
        """Keep nothing, keys of providers least of all, much longer than it counts, and not too much at once."""
        if now >= self._drop_at:
            self._drop_at = now + FRESH.total_seconds()
            self._kept = {key: kept for key, kept in self._kept.items() if kept[0] > now}
        if len(self._kept) >= _MAX_KEPT:
            self._kept.clear()
